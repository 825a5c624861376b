"""What the ONNX importer makes of models, and what it refuses. Whole networks: tests/compiler/graph_passes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from weft.compiler import frontends, graph_passes, pipeline, reference
from weft.compiler.frontends import onnx as frontend
from weft.compiler.frontends.onnx_operators import ATTRIBUTES
from weft.isa import DEFAULT, WeftError
from weft.runtime.module import from_bytes, to_bytes


def model(nodes, shape=(1, 3, 8, 8), output_shape=None, constants=(), opset=13, elem=TensorProto.FLOAT, out_elem=None):
    x = helper.make_tensor_value_info("x", elem, shape)
    y = helper.make_tensor_value_info("y", out_elem or elem, output_shape or shape)
    tensors = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in dict(constants).items()]
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made.SerializeToString()


def refusal(data, **options) -> str:
    with pytest.raises(WeftError) as caught:
        frontend.load(data, "m", **options)
    return str(caught.value)


def node(op, *inputs, **attrs):
    return helper.make_node(op, list(inputs), ["y"], "n", **attrs)


def assert_runs_on_the_host(data, reason, shape=(1, 3, 8, 8)):
    """The model's only node is ONNX's own, it gives what ONNX says, and so does the compiled module."""
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    (only,) = placed.nodes
    assert (only.op, only.where, only.reason) == ("Onnx", "host", f"ONNX's reference evaluator computes it{reason}")
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (expected,) = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": x})
    np.testing.assert_array_equal(reference.run(placed, {"x": x})["y"], expected)
    module = from_bytes(to_bytes(pipeline.build(placed, DEFAULT)))
    np.testing.assert_array_equal(module.run(x)[0]["y"], expected)


def test_other_operators_run_as_onnx_defines_them():
    operators = ", ".join(sorted(ATTRIBUTES))
    data = model([node("LRN", "x", size=3)])
    assert_runs_on_the_host(data, "")
    assert refusal(model([node("RandomNormalLike", "x")])) == (
        "node 'n' (RandomNormalLike): an operator must be one that weft can import, but found RandomNormalLike; "
        f"try: to replace it by any of {operators}")


def test_refuses_an_operator_of_another_domain():
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    gelu = helper.make_node("Gelu", ["x"], ["y"], "n", domain="com.microsoft")
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    data = helper.make_model(helper.make_graph([gelu], "g", [x], [y]), opset_imports=opsets).SerializeToString()
    assert "node 'n' (Gelu): an operator must be one that weft can import, but found com.microsoft.Gelu; " in refusal(data)


def test_an_attribute_that_changes_the_meaning_is_left_to_onnx():
    data = model([node("Pad", "x", "pads", mode="reflect")], output_shape=(1, 3, 10, 8),
                 constants={"pads": np.int64([0, 0, 1, 0, 0, 0, 1, 0])})
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(reference.run(placed, {"x": x})["y"],
                                  np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)), "reflect"))


def test_three_spatial_axes_are_left_to_onnx():
    data = model([node("MaxPool", "x", kernel_shape=[2, 1, 1])], (1, 3, 8, 2, 2), (1, 3, 7, 2, 2))
    assert_runs_on_the_host(data, ": there must be two spatial axes, but found (2, 1, 1)", (1, 3, 8, 2, 2))


def test_sums_and_dropouts():
    nodes = [helper.make_node("Dropout", ["x"], ["d", ""], "d"), helper.make_node("Sum", ["d", "x"], ["s"], "s"),
             node("Sum", "s", "x", "d")]
    graph = frontend.load(model(nodes), "m")
    assert [n.op for n in graph.nodes] == ["Identity", "Add", "Sum"]
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(reference.run(graph, {"x": x})["y"], x + x + x + x)


def test_masks_that_nobody_reads():
    nodes = [helper.make_node("Dropout", ["x"], ["d", "mask"], "d"),
             helper.make_node("MaxPool", ["d"], ["y", "places"], "p", kernel_shape=[1, 1])]
    assert [n.op for n in frontend.load(model(nodes), "m").nodes] == ["Identity", "MaxPool"]
    read = [helper.make_node("Dropout", ["x"], ["d", "mask"], "d"), helper.make_node("Cast", ["mask"], ["c"], "c", to=1),
            node("Add", "d", "c")]
    assert [n.op for n in frontend.load(model(read), "m").nodes] == ["Onnx", "Cast", "Add"]


def test_refuses_windows_beyond_the_input():
    data = model([node("MaxPool", "x", kernel_shape=[2, 2], strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1)],
                 output_shape=("n", "c", "h", "w"))
    assert refusal(data) == ("node 'n' (MaxPool): its windows must begin inside the input, which gives an output of [3, 3], "
                             "but found [4, 4]; try: padding in place of ceil_mode")


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("attrs", [
    dict(kernel_shape=[3, 3], strides=[2, 4], ceil_mode=1),
    dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1], ceil_mode=1),
    dict(kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 1], count_include_pad=1, ceil_mode=1),
    dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)])
def test_pools_in_real_numbers(op, attrs):
    runtime = pytest.importorskip("onnxruntime")
    attrs = {k: v for k, v in attrs.items() if op == "AveragePool" or k != "count_include_pad"}
    data = model([node(op, "x", **attrs)], (1, 3, 8, 10), ("n", "c", "h", "w"))
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 10)).astype(np.float32)
    graph = frontend.load(data, "m")
    expected = runtime.InferenceSession(data).run(None, {"x": x})[0]
    assert graph.tensors["y"].shape == expected.shape
    np.testing.assert_allclose(reference.run(graph, {"x": x})["y"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale, text", [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0.0"), (-0.5, "-0.5")])
def test_refuses_a_bad_scale(scale, text):
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"), node("DequantizeLinear", "q", "s", "z")]
    data = model(nodes, constants={"s": np.float32(scale), "z": np.int8(0)})
    assert refusal(data) == (f"node 'q' (QuantizeLinear): a scale must be finite and above zero, but found {text}; "
                             "try: to quantise the model again with data that reaches this tensor")


def test_refuses_a_computed_scale():
    nodes = [helper.make_node("ReduceMean", ["x"], ["s"], "mean", keepdims=0),
             helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"), node("DequantizeLinear", "q", "s", "z")]
    assert refusal(model(nodes, constants={"z": np.int8(0)})) == (
        "node 'q' (QuantizeLinear): scale and zero point must be constants, but found 's', which is computed; "
        "try: static quantisation")


def test_operators_that_move_stored_values():
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
             helper.make_node("MaxPool", ["q"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Transpose", ["p"], ["t"], "turn", perm=[0, 1, 3, 2]), node("Concat", "t", "t", axis=1)]
    data = model(nodes, output_shape=(1, 6, 4, 4), constants={"s": np.float32(0.1), "z": np.uint8(100)},
                 out_elem=TensorProto.UINT8)
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    assert [n.op for n in placed.nodes if n.where == "accel"] == ["max_pool", "conv2d", "conv2d_add"]
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32) * 9
    (expected,) = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": x})
    (output,) = placed.outputs
    np.testing.assert_array_equal(reference.run(placed, {"x": x})[output], expected)


def test_operators_that_look_at_uint8():
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "dynamic"),
             helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["i"], "product"),
             helper.make_node("Cast", ["i"], ["f"], "cast", to=TensorProto.FLOAT), node("Mul", "f", "s")]
    rng = np.random.default_rng(0)
    data = model(nodes, (4, 8), (4, 5), {"w": rng.integers(0, 256, (8, 5)).astype(np.uint8), "wz": np.uint8(99)})
    x = rng.standard_normal((4, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": x})
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    np.testing.assert_allclose(reference.run(placed, {"x": x})["y"], expected, rtol=1e-6)


def test_a_constant_quantised_in_two_ways():
    nodes = [helper.make_node("DequantizeLinear", ["c", s, "z"], [f"d{s}"], f"d{s}") for s in ("s", "t")]
    nodes += [helper.make_node("Add", ["x", "ds"], ["a"], "add"), node("Add", "a", "dt")]
    data = model(nodes, (1, 3),
                 constants={"c": np.int8([1, 2, 3]), "s": np.float32(1), "t": np.float32(10), "z": np.int8(1)})
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    np.testing.assert_array_equal(reference.run(placed, {"x": np.zeros((1, 3), np.float32)})["y"], [[0, 11, 22]])


def test_refuses_a_tensor_quantised_in_two_ways():
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"), node("DequantizeLinear", "q", "t", "z")]
    assert refusal(model(nodes, constants={"s": np.float32(1), "t": np.float32(2), "z": np.int8(0)})) == (
        "node 'n' (DequantizeLinear): a tensor must be quantised in one way, but found 'q' in two; "
        "try: the same scale and zero point in every QuantizeLinear and DequantizeLinear of a tensor")


def test_refuses_other_files(tmp_path):
    path = tmp_path / "model.txt"
    path.write_text("hello")
    with pytest.raises(WeftError) as caught:
        frontends.load(path)
    assert str(caught.value) == ("model model.txt: a model must be an ONNX, TFLite or torch.export file, but found suffix "
                                 "'.txt'; "
                                 "try: to give the file the suffix .onnx, .tflite or .pt2")
    with pytest.raises(WeftError) as caught:
        frontends.load(tmp_path / "none.onnx")
    assert str(caught.value) == ("model none.onnx: a model must be a file that can be read, "
                                 "but found No such file or directory; try: to check the path")


def test_uint8_at_the_edge_keeps_its_dtype():
    nodes = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["d"], "d"), helper.make_node("Relu", ["d"], ["r"], "r"),
             node("QuantizeLinear", "r", "s", "z")]
    data = model(nodes, constants={"s": np.float32(0.1), "z": np.uint8(100)}, elem=TensorProto.UINT8)
    graph = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8)).astype(np.uint8)
    (output,) = graph.outputs
    np.testing.assert_array_equal(reference.run(graph, {"x": x})[output], np.maximum(x, 100))
    assert [n.op for n in graph.nodes if n.where == "accel"] == ["requantise"]
