"""TFLite files built here, through the importer and all passes, against real arithmetic in TFLite's own layout."""

import numpy as np
import pytest
import tflite

from weft.compiler import frontends, graph_passes, pipeline, reference
from weft.compiler.frontends import tflite as frontend
from weft.isa import DEFAULT, WeftError

from .flatbuffer import Op, T, build

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU = tflite.ActivationFunctionType.RELU
CONV = {"Padding": SAME, "StrideH": 2, "StrideW": 2, "DilationHFactor": 1, "DilationWFactor": 1}


def real(t: T, values=None):
    values = t.data if values is None else values
    shape = [-1 if i == t.axis else 1 for i in range(len(t.shape))] if np.ndim(t.scale) else [1] * len(t.shape)
    return (values.astype(np.float64) - t.zero_point) * np.reshape(np.float64(np.float32(t.scale)), shape)


def stored(t: T, values):
    info = np.iinfo(t.dtype)
    scaled = values / np.float32(t.scale)
    return np.clip(np.trunc(scaled + np.copysign(0.5, scaled)) + t.zero_point, info.min, info.max)


def convolution(dtype="int8", options=None, depthwise=False, seed=0, weight_zero=None):
    """x [1, 7, 6, 4] -> conv 3x3 stride 2 SAME RELU -> y; returns (bytes, x, y, what y is for an image)."""
    rng = np.random.default_rng(seed)
    lift = 128 if dtype == "uint8" else 0
    o = 4 if depthwise else 5
    scale = rng.uniform(0.002, 0.01, o).astype(np.float32)
    x = T("x", (1, 7, 6, 4), dtype, 0.05, -4 + lift)
    w = T("w", (1, 3, 3, o) if depthwise else (o, 3, 3, 4), "int8", scale, 0, 3 if depthwise else 0)
    w.data = rng.integers(-127, 128, w.shape).astype(np.int8)
    if weight_zero is not None:  # uint8 with one scale
        scale = scale[:1].repeat(o)
        w = T("w", w.shape, "uint8", scale[0], weight_zero, data=rng.integers(0, 256, w.shape).astype(np.uint8))
    b = T("b", (o,), "int32", scale * np.float32(0.05), 0, 0, rng.integers(-900, 900, o).astype(np.int32))
    y = T("y", (1, 4, 3, o), dtype, 0.03, -128 + lift)
    kind, table = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
    options = {**CONV, "FusedActivationFunction": RELU, **(options or {}), **({"DepthMultiplier": 1} if depthwise else {})}
    data = build([x, w, b, y], [Op(kind, [0, 1, 2], [3], (table, options))], [0], [3])

    def meaning(image):
        padded = np.pad(real(x, image), ((0, 0), (1, 1), (0, 1), (0, 0)))  # SAME of 7 by 2: 1 and 1; of 6 by 2: 0 and 1
        result = np.zeros(y.shape)
        for i, j, c in np.ndindex(*y.shape[1:]):
            window = padded[0, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
            taps = window[..., c] * real(w)[0, ..., c] if depthwise else window * real(w)[c]
            result[0, i, j, c] = taps.sum() + real(b)[c]
        return stored(y, np.maximum(result, 0))

    return data, x, y, meaning


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_convolution(dtype, depthwise):
    data, x, y, meaning = convolution(dtype, depthwise=depthwise)
    placed = graph_passes.run(frontend.load(data, "conv"), DEFAULT)
    (name,) = placed.outputs
    assert (placed.tensors["x"].shape, placed.tensors["x"].dtype) == (x.shape, dtype)
    assert (placed.tensors[name].shape, placed.tensors[name].dtype) == (y.shape, dtype)
    image = np.random.default_rng(3).integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, x.shape).astype(dtype)
    actual, expected = reference.run(placed, {"x": image})[name].astype(int), meaning(image)
    assert np.abs(actual - expected).max() <= 1 and (actual == expected).mean() >= 0.98
    assert [n.where for n in placed.nodes if n.op in ("conv2d", "depthwise_conv2d")] == ["accel"]


@pytest.mark.parametrize("weight_zero", [0, 128, 204])  # weights from 0 to 255: three parts; of int8; from -204 to 51: two
@pytest.mark.parametrize("depthwise", [False, True])
def test_weights_with_a_zero_point(depthwise, weight_zero):
    data, x, _, meaning = convolution("uint8", depthwise=depthwise, weight_zero=weight_zero)
    placed = graph_passes.run(frontend.load(data, "conv"), DEFAULT)
    image = np.random.default_rng(3).integers(0, 256, x.shape).astype(np.uint8)
    actual, expected = reference.run(placed, {"x": image})[placed.outputs[0]].astype(int), meaning(image)
    assert np.abs(actual - expected).max() <= 1 and (actual == expected).mean() >= 0.98
    (node,) = (n for n in placed.nodes if n.where == "accel")
    assert (node.op, node.attrs.get("parts", 1)) == ("depthwise_conv2d" if depthwise else "conv2d",
                                                     {0: 3, 128: 1, 204: 2}[weight_zero])
    assert pipeline.build(placed, DEFAULT).run(image)[1].bit_exact
    assert placed.macs(node) == expected.size * 9 * (1 if depthwise else 4)


def test_a_matrix_product_of_weights_with_a_zero_point():
    rng = np.random.default_rng(5)
    x, y = T("x", (1, 20), "uint8", 0.05, 100), T("y", (1, 3), "uint8", 0.6, 128)
    w = T("w", (3, 20), "uint8", 0.01, 40, data=rng.integers(0, 256, (3, 20)).astype(np.uint8))
    data = build([x, w, y], [Op("FULLY_CONNECTED", [0, 1], [2], ("FullyConnectedOptions", {}))], [0], [2])
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    assert [n.op for n in placed.nodes if n.where == "accel"] == ["dense"]
    image = rng.integers(0, 256, x.shape).astype(np.uint8)
    actual = reference.run(placed, {"x": image})[placed.outputs[0]].astype(int)
    assert np.abs(actual - stored(y, real(x, image) @ real(w).T)).max() <= 1
    assert pipeline.build(placed, DEFAULT).run(image)[1].bit_exact


def classifier(softmax_beta=1.0):
    """x [1, 2, 3, 4] -> ADD with itself RELU -> AVERAGE_POOL over all -> RESHAPE -> FULLY_CONNECTED -> SOFTMAX."""
    rng = np.random.default_rng(5)
    x, s = T("x", (1, 2, 3, 4), "int8", 0.05, 7), T("s", (1, 2, 3, 4), "int8", 0.06, -128)
    p, r = T("p", (1, 1, 1, 4), "int8", 0.06, -128), T("r", (1, 4), "int8", 0.06, -128)
    shape = T("shape", (2,), "int32", data=np.int32([1, 4]))
    w = T("w", (3, 4), "int8", 0.01, 0, data=rng.integers(-127, 128, (3, 4)).astype(np.int8))
    b = T("b", (3,), "int32", np.float32(0.06) * np.float32(0.01), 0, data=rng.integers(-90, 90, 3).astype(np.int32))
    y, z = T("y", (1, 3), "int8", 0.05, 3), T("z", (1, 3), "int8", 1 / 256, -128)
    operators = [
        Op("ADD", [0, 0], [1], ("AddOptions", {"FusedActivationFunction": RELU})),
        Op("AVERAGE_POOL_2D", [1], [2], ("Pool2DOptions", {"Padding": VALID, "StrideH": 2, "StrideW": 3, "FilterHeight": 2,
                                                          "FilterWidth": 3})),
        Op("RESHAPE", [2, 4], [3], ("ReshapeOptions", {})),
        Op("FULLY_CONNECTED", [3, 5, 6], [7], ("FullyConnectedOptions", {})),
        Op("SOFTMAX", [7], [8], ("SoftmaxOptions", {"Beta": softmax_beta})),
    ]
    tensors = [x, s, p, r, shape, w, b, y, z]
    data = build(tensors, operators, [0], [8])

    def meaning(image):
        total = stored(s, np.maximum(2 * real(x, image), 0))
        mean = np.trunc(total.sum((1, 2)) / 6 + np.copysign(0.5, total.sum((1, 2))))  # of stored values, as TFLite
        logits = stored(y, real(r, mean) @ real(w).T + real(b))
        e = np.exp(real(y, logits) - real(y, logits).max())
        return stored(z, e / e.sum())

    return data, meaning


def test_classifier():
    data, meaning = classifier()
    placed = graph_passes.run(frontend.load(data, "classifier"), DEFAULT)
    accelerated = [n.op for n in placed.nodes if n.where == "accel"]
    assert accelerated == ["add", "avg_pool", "dense"]
    for seed in range(5):
        image = np.random.default_rng(seed).integers(-128, 128, (1, 2, 3, 4)).astype(np.int8)
        assert np.abs(reference.run(placed, {"x": image})["z"].astype(int) - meaning(image)).max() <= 1


def test_pads_slices_and_means_in_tflite_order():
    x, p = T("x", (1, 4, 4, 2), "int8", 0.1, 5), T("p", (1, 6, 5, 2), "int8", 0.1, 5)
    widths = T("widths", (4, 2), "int32", data=np.int32([[0, 0], [1, 1], [0, 1], [0, 0]]))
    begin, end = (T(n, (4,), "int32", data=np.int32(v)) for n, v in (("begin", [0, 0, 1, 0]), ("end", [1, 6, 5, 2])))
    steps, s = T("steps", (4,), "int32", data=np.int32([1, 2, 1, 1])), T("s", (1, 3, 4, 2), "int8", 0.1, 5)
    axes, m = T("axes", (2,), "int32", data=np.int32([1, 2])), T("m", (1, 2), "int8", 0.1, 5)
    operators = [Op("PAD", [0, 2], [1], ("PadOptions", {})),
                 Op("STRIDED_SLICE", [1, 3, 4, 5], [6], ("StridedSliceOptions", {"BeginMask": 1, "EndMask": 8})),
                 Op("MEAN", [6, 7], [8], ("ReducerOptions", {"KeepDims": False}))]
    data = build([x, p, widths, begin, end, steps, s, axes, m], operators, [0], [8, 6])
    placed = graph_passes.run(frontend.load(data, "moves"), DEFAULT)
    image = np.random.default_rng(0).integers(-128, 128, x.shape).astype(np.int8)
    outputs = reference.run(placed, {"x": image})
    cut = np.pad(image, widths.data, constant_values=5)[:, 0:6:2, 1:5]
    np.testing.assert_array_equal(outputs["s"], cut)
    assert np.abs(outputs["m"] - cut.astype(float).mean((1, 2))).max() <= 0.5


def refusal(data, **options) -> str:
    with pytest.raises(WeftError) as caught:
        frontend.load(data, "m", **options)
    return str(caught.value)


def test_refuses_what_is_no_tflite():
    assert refusal(b"not a flatbuffer at all") == (
        "model m: a TFLite file must carry the mark TFL3 at byte 4, but found b'a fl'; "
        "try: to convert or download the model again")


def test_every_truncation_is_refused_or_changes_nothing():
    data = convolution()[0]
    whole, accepted = frontend.load(data, "m"), 0
    for size in range(8, len(data), 7):
        try:
            graph = frontend.load(data[:size], "m")
        except WeftError:
            continue
        accepted += 1  # the last bytes are no part of any value
        assert str(graph) == str(whole) and all((graph.constants[k] == v).all() for k, v in whole.constants.items())
    assert accepted <= 1


def test_random_damage_never_ends_in_a_traceback():
    rng, data = np.random.default_rng(1), classifier()[0]
    for _ in range(200):
        damaged = bytearray(data)
        for at in rng.integers(8, len(data), 4):
            damaged[at] = rng.integers(0, 256)
        try:
            graph_passes.run(frontend.load(bytes(damaged), "m"), DEFAULT)
        except WeftError:
            pass


def test_refuses_shapes_that_do_not_fit():
    x, y = T("x", (1, 4), "int8", 0.1, 0), T("y", (1, 5), "int8", 0.1, 0)
    assert refusal(build([x, y], [Op("RELU", [0], [1])], [0], [1])) == (
        "node 'y' (Clip): its output must have the shape that its inputs give, (1, 4), but found (1, 5); "
        "try: to convert or download the model again")


def test_refuses_an_unknown_operator():
    x, y = T("x", (1, 4), "int8", 0.1, 0), T("y", (1, 4), "int8", 0.1, 0)
    message = refusal(build([x, y], [Op("ATAN2", [0], [1])], [0], [1]))
    assert message.startswith("node 'y' (ATAN2): an operator must be one that weft can import, but found ATAN2; "
                              "try: to replace it by any of ABS, ADD, AVERAGE_POOL_2D, ")


def test_refuses_an_unknown_activation():
    data = convolution(options={"FusedActivationFunction": tflite.ActivationFunctionType.TANH})[0]
    assert refusal(data) == ("node 'y' (CONV_2D): a fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1, "
                             "but found TANH; try: to use one of these, or a separate operator")


def test_refuses_softmax_with_beta():
    assert refusal(classifier(softmax_beta=2.0)[0]) == (
        "node 'z' (SOFTMAX): beta must be 1, but found 2.0; try: to scale its input in the model")


@pytest.mark.parametrize("scale, text", [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0.0")])
def test_refuses_a_bad_scale(scale, text):
    x, y = T("x", (1, 4), "int8", scale, 0), T("y", (1, 4), "int8", 0.1, 0)
    assert refusal(build([x, y], [Op("RELU", [0], [1])], [0], [1])) == (
        f"tensor 'x': a scale must be finite and above zero, but found {text}; "
        "try: to quantise the model again with data that reaches this tensor")


def test_refuses_another_input_shape():
    assert refusal(convolution()[0], input_shapes={"x": (1, 8, 8, 4)}) == (
        "input 'x': the shape of a TFLite input is the file's, [1, 7, 6, 4], but found [1, 8, 8, 4]; "
        "try: to convert the model with that shape")


def test_load_decides_by_content(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(convolution()[0])
    assert [n.op for n in frontends.load(path).nodes] == ["Transpose", "Conv", "Transpose"]
