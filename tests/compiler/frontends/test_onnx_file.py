"""Files of ONNX: what is refused before a node is looked at, opsets, and shapes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from weft.compiler import graph_passes, reference
from weft.compiler.frontends import onnx as frontend
from weft.isa import DEFAULT, WeftError

from .qdq import Qdq
from .test_onnx import model, node, refusal


def test_refuses_garbage():
    message = refusal(b"\x13\x37 this is no model")
    assert message.startswith("model m: the file must be a whole and valid ONNX model, but found ")
    assert message.endswith("; try: to export or download the model again")


def test_every_truncation_is_refused():
    q = Qdq((1, 2, 4, 4))
    data = q.model(q.op("Conv", [q.x, *q.weights(q.x, (3, 2, 3, 3))])).SerializeToString()
    for size in range(0, len(data), 11):
        assert refusal(data[:size]).startswith("model m: ")


def test_random_damage_never_ends_in_a_traceback():
    rng, q = np.random.default_rng(1), Qdq((1, 2, 4, 4))
    data = q.model(q.op("Conv", [q.x, *q.weights(q.x, (3, 2, 3, 3))])).SerializeToString()
    for _ in range(150):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            damaged[at] = rng.integers(0, 256)
        try:
            graph_passes.run(frontend.load(bytes(damaged), "m"), DEFAULT)
        except WeftError:
            pass


def test_refuses_a_dynamic_shape_and_takes_one_that_is_given():
    data = model([node("Relu", "x")], (1, 3, "height", 8))
    assert refusal(data) == ("input 'x': its shape must be static, but found shape [1, 3, height, 8]; "
                             "try: to give one, as in input_shapes={'x': (1, 3, 1, 8)}")
    assert frontend.load(data, "m", {"x": (1, 3, 5, 8)}).tensors["y"].shape == (1, 3, 5, 8)


def test_an_open_batch_is_one():
    graph = frontend.load(model([node("Relu", "x")], ("batch", 3, 8, 8)), "m")
    assert graph.tensors["x"].shape == graph.tensors["y"].shape == (1, 3, 8, 8)
    assert frontend.load(model([node("Relu", "x")], ("batch", 3, 8, 8)), "m", {"x": (2, 3, 8, 8)}).tensors["y"].shape[0] == 2


def test_refuses_a_shape_that_depends_on_values():
    nodes = [helper.make_node("Cast", ["x"], ["s"], "cast", to=TensorProto.INT64),
             helper.make_node("Reshape", ["x", "s"], ["r"], "reshape"), node("Relu", "r")]
    assert refusal(model(nodes, (1,), ("k",))) == (
        "node 'reshape' (Reshape): every output must have a static shape, but found none for 'r'; "
        "try: to export the model with static shapes")


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_opsets(opset):
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((4, 3, 3, 3)), "fc": rng.standard_normal((64, 5)) / 30,
                 "fb": rng.standard_normal(5)}
    constants |= {name: rng.uniform(0.5, 1, 4) for name in ("gain", "offset", "mean", "variance")}
    constants = {name: value.astype(np.float32) for name, value in constants.items()}
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1] * 4),
             helper.make_node("BatchNormalization", ["a", "gain", "offset", "mean", "variance"], ["b"], "norm"),
             helper.make_node("Relu", ["b"], ["c"], "relu"),
             helper.make_node("MaxPool", ["c"], ["d"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Dropout", ["d"], ["e"], "drop"), helper.make_node("Flatten", ["e"], ["f"], "flat"),
             helper.make_node("Gemm", ["f", "fc", "fb"], ["g"], "fc"), node("Softmax", "g", axis=1)]
    graph = graph_passes.run(frontend.load(model(nodes, output_shape=(1, 5), constants=constants, opset=opset), "m"),
                             DEFAULT)
    x = rng.standard_normal((1, 3, 8, 8)).astype(np.float32)
    newest = onnx.load_from_string(model(nodes, output_shape=(1, 5), constants=constants, opset=18))
    (expected,) = ReferenceEvaluator(newest).run(None, {"x": x})
    np.testing.assert_allclose(reference.run(graph, {"x": x})["y"], expected, rtol=1e-4)


def test_old_opsets_are_converted():
    nodes = [node("Clip", "x", min=0.0, max=6.0)]
    graph = graph_passes.run(frontend.load(model(nodes, opset=9), "m"), DEFAULT)
    x = np.linspace(-9, 9, 192, dtype=np.float32).reshape(1, 3, 8, 8)
    np.testing.assert_array_equal(reference.run(graph, {"x": x})["y"], x.clip(0, 6))


def test_shape_arithmetic_is_folded():
    nodes = [helper.make_node("Shape", ["x"], ["s"], "s"), helper.make_node("Gather", ["s", "zero"], ["b"], "g"),
             helper.make_node("Concat", ["b", "rest"], ["t"], "c", axis=0), node("Reshape", "x", "t")]
    data = model(nodes, output_shape=(1, 192), constants={"zero": np.int64([0]), "rest": np.int64([-1])})
    graph = frontend.load(data, "m")
    assert [n.op for n in graph.nodes] == ["Reshape"] and graph.tensors["y"].shape == (1, 192)
