"""Networks of convolutions, their transposes and matrix products, for test_passes.py: each adds its operators to a Qdq, and
returns its output."""

import numpy as np


def conv(q, x, o, c, k=3, **attrs):
    attrs = {"pads": [k // 2] * 4, **attrs}
    return [x, *q.weights(x, (o, c // attrs.get("group", 1), k, k))], attrs


def network_conv(q):
    inputs, attrs = conv(q, q.x, 9, 5, strides=[2, 1], pads=[1, 0, 2, 1])
    return q.op("Conv", inputs, **attrs)


def network_conv_relu(q):
    inputs, attrs = conv(q, q.x, 8, 5)
    return q.op("Relu", [q.plain("Conv", inputs, **attrs)])


def network_conv_relu_quantised_between(q):
    inputs, attrs = conv(q, q.x, 8, 5)
    y = q.op("Conv", inputs, (0.05, 4), **attrs)
    return q.op("Relu", [y], (0.05, 4))


def network_relu_of_another_scale(q):
    inputs, attrs = conv(q, q.x, 8, 5)
    return q.op("Relu", [q.op("Conv", inputs, **attrs)])


def network_relu6(q):
    inputs, attrs = conv(q, q.x, 8, 5)
    limits = [q.constant(np.float32(0)), q.constant(np.float32(1.5))]
    return q.op("Clip", [q.plain("Conv", inputs, **attrs), *limits])


def network_depthwise(q):
    inputs, attrs = conv(q, q.x, 5, 5, group=5)
    return q.op("Conv", inputs, **attrs)


def network_grouped(q):
    y = q.op("Conv", [q.x, *q.weights(q.x, (32, 5, 1, 1))])
    return q.op("Conv", [y, *q.weights(y, (64, 8, 2, 2))], group=4)


def network_far_pads(q):
    inputs, attrs = conv(q, q.x, 4, 5, pads=[1, 3, 1, 1])
    return q.op("Conv", inputs, **attrs)


def network_dilated(q):
    inputs, attrs = conv(q, q.x, 4, 5, dilations=[2, 2], pads=[2, 2, 2, 2])
    return q.op("Conv", inputs, **attrs)


def network_float_bias(q):
    weight = q.weights(q.x, (6, 5, 1, 1), bias=False)
    return q.op("Conv", [q.x, *weight, q.constant(q.rng.standard_normal(6).astype(np.float32))])


def network_bias_added(q):
    y = q.plain("Conv", [q.x, *q.weights(q.x, (6, 5, 1, 1), bias=False)])
    return q.op("Add", [y, q.constant(q.rng.standard_normal((1, 6, 1, 1)).astype(np.float32))])


def transposed(q, o, k=(3, 3), c=5, **attrs):
    each = o // attrs.get("group", 1)
    weights = q.weights(q.x, (c, each, *k), axis=1)
    return q.op("ConvTranspose", [q.x, weights[0], *([] if "group" in attrs else weights[1:])], **attrs)


def network_transposed(q):
    return transposed(q, 18, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])


def network_transposed_far(q):
    return transposed(q, 6, (2, 5), strides=[3, 1], output_padding=[2, 0], pads=[0, 2, 1, 0])


def network_transposed_dilated(q):
    return transposed(q, 6, (2, 3), strides=[2, 3], dilations=[2, 1], auto_pad="SAME_UPPER")


def network_transposed_by_channel(q):
    y = transposed(q, 5, (4, 4), strides=[2, 2], pads=[1, 1, 1, 1], group=5)
    return q.op("Relu", [y])


def network_transposed_relu_with_bias(q):
    y = q.plain("ConvTranspose", [q.x, *q.weights(q.x, (5, 7, 2, 2), axis=1, bias=False)], strides=[2, 2])
    y = q.plain("Add", [y, q.constant(q.rng.standard_normal((1, 7, 1, 1)).astype(np.float32))])
    return q.op("Relu", [y])


def network_pad_conv(q):
    padded = q.op("Pad", [q.x, q.constant(np.int64([0, 0, 1, 2, 0, 0, 0, 1])), q.constant(np.float32(0))], (0.02, 3))
    inputs, attrs = conv(q, padded, 4, 5, pads=[0, 0, 0, 0])
    return q.op("Conv", inputs, **attrs)


def network_shortcut(q):
    whole = np.iinfo(np.int64).max
    parameters = [q.constant(np.int64(v)) for v in ([0, 0], [whole, whole], [2, 3], [2, 2])]
    y = q.op("Slice", [q.x, *parameters], (0.02, 3))
    return q.op("Pad", [y, q.constant(np.int64([0, 2, 0, 0, 0, 3, 0, 0])), q.constant(np.float32(0))], (0.02, 3))


def network_classifier(q):
    y = q.plain("Flatten", [q.op("GlobalAveragePool", [q.x])])
    return q.op("Gemm", [y, *q_gemm(q, 7, 5)], transB=1)


def q_gemm(q, o, c, axis=0):
    q.scales["gemm"] = np.float32(0.02)
    return q.weights("gemm", (o, c) if axis == 0 else (c, o), axis)


def network_flatten_map(q):
    return q.op("Gemm", [q.plain("Flatten", [q.x]), *q_gemm(q, 7, 5 * 8 * 9)], transB=1)


def network_matmul_and_add(q):
    y = q.plain("Flatten", [q.op("GlobalAveragePool", [q.x])])
    product = q.plain("MatMul", [y, *q_gemm(q, 7, 5, axis=1)[:1]])
    return q.op("Add", [product, q.constant(q.rng.standard_normal(7).astype(np.float32))])


def network_transposes(q):
    y = q.plain("Transpose", [q.x], perm=[0, 2, 3, 1])
    y = q.op("Relu", [y], (0.02, 3))
    y = q.plain("Transpose", [y], perm=[0, 3, 1, 2])
    inputs, attrs = conv(q, q.x, 6, 5)
    return q.op("Conv", [y, *inputs[1:]], **attrs)
