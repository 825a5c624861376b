"""Networks of one or a few operators, for test_passes.py: each adds its operators to a Qdq, and returns its output.

NETWORKS has all, by name; those of convolutions are in convolutions.py. ON_HOST: what of each runs on the host.
"""

import numpy as np
from onnx import helper

from tests.compiler.graph_passes import convolutions
from tests.compiler.graph_passes.convolutions import conv, q_gemm


def network_add(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("Add", [q.op("Conv", inputs, **attrs), q.x])


def network_add_relu(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("Relu", [q.plain("Add", [q.x, q.op("Conv", inputs, **attrs)])])


def network_add_broadcast(q):
    shape = q.op("GlobalAveragePool", [q.x])
    return q.op("Add", [q.x, shape])


def network_sub_broadcast(q):
    return q.op("Sub", [q.op("GlobalAveragePool", [q.x]), q.x])


def network_sub(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("Sub", [q.op("Conv", inputs, **attrs), q.x])


def network_mul(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("Mul", [q.op("Conv", inputs, **attrs), q.x])


def network_squeeze_and_excite(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    y = q.op("Conv", inputs, **attrs)
    gate = q.op("HardSigmoid", [q.op("GlobalAveragePool", [y])], alpha=1 / 6, beta=0.5)
    return q.op("Mul", [gate, y])


def network_sigmoid(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    y = q.op("Conv", inputs, **attrs)
    return q.op("Mul", [y, q.op("Sigmoid", [y], (1 / 256, -128))])


def network_leaky_relu(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("LeakyRelu", [q.op("Conv", inputs, **attrs)], alpha=0.1)


def network_half(q):
    return q.op("Mul", [q.x, q.constant(np.float32(0.5))])


def network_max_pool(q):
    return q.op("MaxPool", [q.x], (0.02, 3), kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])


def network_max_pool_in_real(q):
    inputs, attrs = conv(q, q.x, 8, 5)
    y = q.plain("Relu", [q.plain("Conv", inputs, **attrs)])
    return q.op("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2])


def network_max_pool_of_another_scale(q):
    return q.op("MaxPool", [q.x], (0.013, -7), kernel_shape=[2, 2], strides=[2, 2])


def network_max_pool_beyond_the_edge(q):
    return q.op("MaxPool", [q.x], (0.02, 3), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)


def network_average_pool_beyond_the_edge(q):
    return q.op("AveragePool", [q.x], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)


def network_average_pool(q):
    return q.op("AveragePool", [q.x], kernel_shape=[2, 3], strides=[2, 2])


def network_average_pool_padded(q):
    return q.op("AveragePool", [q.x], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)


def network_average_pool_of_fewer(q):
    return q.op("AveragePool", [q.x], kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def network_average_pool_of_fewer_below(q):
    return q.op("AveragePool", [q.x], kernel_shape=[5, 2], strides=[2, 1], pads=[2, 0, 1, 1])


def network_max_pool_dilated(q):
    return q.op("MaxPool", [q.x], (0.02, 3), kernel_shape=[2, 3], dilations=[3, 2], strides=[2, 1], pads=[1, 1, 1, 1])


def resized(q, scales=None, sizes=None, quantisation=None, **attrs):
    given = ["", q.constant(np.float32([1, 1, *scales]))] if scales else \
        ["", "", q.constant(np.int64([*q.shape[:2], *sizes]))]
    return q.op("Resize", [q.x, *given], quantisation, **attrs)


def network_resize_nearest(q):
    return resized(q, (2, 3), quantisation=(0.02, 3), mode="nearest", coordinate_transformation_mode="asymmetric",
                   nearest_mode="floor")


def network_resize_nearest_odd(q):
    return resized(q, sizes=(12, 6), mode="nearest", nearest_mode="round_prefer_ceil")


def network_resize_linear(q):
    return resized(q, (2, 2), quantisation=(0.02, 3), mode="linear")


def network_resize_linear_asymmetric(q):
    return resized(q, (4, 2), quantisation=(0.02, 3), mode="linear", coordinate_transformation_mode="asymmetric")


def network_resize_linear_corners(q):
    return resized(q, sizes=(15, 3), mode="linear", coordinate_transformation_mode="align_corners")


def network_resize_too_uneven(q):
    return resized(q, sizes=(11, 17), mode="linear")


def network_depth_to_space(q):
    inputs, attrs = conv(q, q.x, 12, 5)
    y = q.op("DepthToSpace", [q.op("Conv", inputs, **attrs)], blocksize=2, mode="CRD")
    return q.op("DepthToSpace", [q.op("SpaceToDepth", [y], blocksize=2)], (0.05, 1), blocksize=2)


def network_more_tables(q):
    y = q.op("Elu", [q.op("Softplus", [q.x])], alpha=0.7)
    y = q.op("Selu", [q.op("PRelu", [y, q.constant(np.float32([0.2]))])])
    return q.op("Softsign", [q.op("Celu", [q.op("ThresholdedRelu", [q.op("Mish", [y])], alpha=0.1)], alpha=2.0)])


def network_largest(q):
    return q.op("Add", [q.op("GlobalMaxPool", [q.x]), q.op("ReduceMax", [q.x, q.constant(np.int64([2, 3]))], (0.02, 3))])


def slopes(q):
    return np.linspace(-0.7, 1.3, 5).astype(np.float32).reshape(5, 1, 1)


def network_prelu(q):
    return q.op("PRelu", [q.op("PRelu", [q.x, q.constant(slopes(q))]), q.quantise(q.constant(slopes(q)), 0.01, 4)])


def network_prelu_of_one_scale(q):
    return q.op("Relu", [q.plain("Identity", [q.op("PRelu", [q.x, q.constant(slopes(q))], (0.02, 3))])], (0.02, 3))


def network_extremes(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    y = q.op("Conv", inputs, **attrs)
    stored = q.quantise(q.constant(q.rng.standard_normal((5, 1, 1)).astype(np.float32)), 0.02, 9)
    return q.op("Min", [q.op("Max", [q.x, y], (0.03, 4)), q.op("Max", [y, stored], (0.03, -2))], (0.03, -2))


def network_pad_of_one(q):
    return q.op("Pad", [q.x, q.constant(np.int64([0, 0, 1, 2, 0, 0, 0, 3])), q.constant(np.float32(0.5))], (0.02, 3))


def network_channel_shuffle(q):
    inputs, attrs = conv(q, q.x, 18, 5)
    y = q.op("Conv", inputs, (0.05, 4), **attrs)
    apart = q.op("Reshape", [y, q.constant(np.int64([0, 3, 6, 8, 9]))], (0.05, 4))
    turned = q.op("Transpose", [apart], (0.05, 4), perm=[0, 2, 1, 3, 4])
    return q.op("Reshape", [turned, q.constant(np.int64([0, 18, 8, 9]))], (0.05, 4))


def network_shuffled(q):
    """Halves that change places, as networks with split channels have."""
    inputs, attrs = conv(q, q.x, 20, 5)
    y = q.op("Conv", inputs, (0.05, 4), **attrs)
    halves = [f"{y}.{half}" for half in "ab"]
    q.nodes.append(helper.make_node("Split", [y, q.constant(np.int64([7, 13]))], halves, "split", axis=1))
    return q.op("Concat", [q.quantise(half, 0.05, 4) for half in halves[::-1]], (0.05, 4), axis=1)


def network_slice_of_the_inside(q):
    parameters = [q.constant(np.int64(v)) for v in ([1, 2, 1], [4, 7, 9], [1, 2, 3], [1, 3, 2])]
    y = q.op("Slice", [q.x, *parameters], (0.02, 3))
    return q.op("Pad", [y, q.constant(np.int64([0, 1, 1, 0, 0, 0, 2, 0])), q.constant(np.float32(0))], (0.02, 3))


def network_slice_of_columns(q):
    parameters = [q.constant(np.int64(v)) for v in ([7], [90], [1], [3])]
    return q.op("Slice", [q.plain("Flatten", [q.op("Clip", [q.x], (0.02, 3))]), *parameters], (0.02, 3))


def network_reduce_mean(q):
    return q.op("ReduceMean", [q.x, q.constant(np.int64([2, 3]))], keepdims=0)


def network_subtract(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("Relu", [q.plain("Sub", [q.x, q.op("Conv", inputs, **attrs)])])


def network_multiply(q):
    inputs, attrs = conv(q, q.x, 5, 5)
    return q.op("Mul", [q.x, q.op("Conv", inputs, **attrs)])


def network_squeeze_and_excite_with_sigmoid(q):
    gate = q.op("Sigmoid", [q.op("GlobalAveragePool", [q.x])], (1 / 256, -128))
    return q.op("Mul", [q.x, gate])


def network_constants_that_broadcast(q):
    stored = [q.quantise(q.constant(q.rng.standard_normal((5, 1, 1)).astype(np.float32)), 0.02, 9) for _ in range(2)]
    return q.op("Mul", [q.op("Add", [q.x, stored[0]]), stored[1]])


def network_tables(q):
    y = q.op("HardSwish", [q.op("LeakyRelu", [q.op("Tanh", [q.x])], alpha=0.1)])
    return q.op("Sigmoid", [y], (1 / 256, -128))


def network_concat_of_three(q):
    inputs, attrs = conv(q, q.x, 19, 5)
    y = q.op("Conv", inputs, (0.02, 3), **attrs)
    return q.op("Concat", [q.x, y, q.x], (0.02, 3), axis=1)


def network_concat_of_rows(q):
    return q.op("Concat", [q.x, q.x], (0.02, 3), axis=2)


def network_concat(q):
    inputs, attrs = conv(q, q.x, 4, 5)
    return q.op("Concat", [q.x, q.op("Conv", inputs, **attrs)], axis=1)


def network_softmax(q):
    logits = q.op("Gemm", [q.plain("Flatten", [q.x]), *q_gemm(q, 7, 360)], transB=1)
    return q.op("Softmax", [logits], (1 / 256, -128), axis=1)


NETWORKS = {name.removeprefix("network_"): f for name, f in (vars(convolutions) | globals()).items() if name.startswith("network_")}
EDGE = {"quantize", "dequantize"}
ON_HOST = {"resize_too_uneven": {"Resize"}, "softmax": {"softmax"}}
