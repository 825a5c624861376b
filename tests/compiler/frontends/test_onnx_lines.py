"""Networks on lines [N, C, L]: as ONNX computes them, and on the accelerator once they are quantised."""

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tests.compiler.frontends.qdq import Qdq
from tests.compiler.quantizer.networks import Builder, graph_of, samples_for
from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.frontends import onnx as frontend
from weft.compiler.quantizer import quantise_graph
from weft.isa import DEFAULT

LENGTH = 50


def conv(b: Builder, source: str, name: str, channels: int, outputs: int, **attrs) -> str:
    weight = b.rng.normal(size=(outputs, channels // attrs.get("group", 1), 5)).astype(np.float32) / 3
    return b.add("Conv", [source, b.constant(f"{name}.weight", weight)], name, **attrs)


def network():
    """Strides, groups, batch norms, sums, joins, pools, a transposed convolution; a classifier behind."""
    b = Builder(0)
    b.add("Relu", [b.batch_norm(conv(b, "signal", "first", 3, 8, strides=[2], pads=[2, 2]), "norm", 8)], "a")
    conv(b, "a", "each", 8, 8, group=8, auto_pad="SAME_UPPER", kernel_shape=[5])
    b.add("Add", ["a", "each"], "sum")
    b.add("Concat", ["sum", "a"], "joined", axis=1)
    b.add("MaxPool", ["joined"], "pool", kernel_shape=[3], strides=[2], pads=[1, 0])
    weight = b.constant("up.weight", b.rng.normal(size=(16, 6, 4)).astype(np.float32) / 4)
    b.add("ConvTranspose", ["pool", weight], "up", strides=[2], pads=[1, 1])
    b.add("Tanh", [b.add("AveragePool", ["up"], "means", kernel_shape=[2], strides=[2])], "t")
    b.add("Flatten", [b.add("GlobalAveragePool", ["t"], "mean")], "flat")
    b.add("Gemm", ["flat", b.constant("rows", b.rng.normal(size=(6, 4)).astype(np.float32))], "y")
    return b.model({"signal": [1, 3, LENGTH]}, {"y": [1, 4]}, 17)


def test_float_and_quantised():
    model = network()
    x = samples_for(model, 16)
    graph, first = graph_of(model), {"signal": x["signal"][:1]}
    (expected,) = ReferenceEvaluator(model).run(None, first)
    np.testing.assert_allclose(reference.run(graph, first)["y"], expected, rtol=1e-4, atol=1e-5)
    made, report = quantise_graph(graph, x)
    assert report.outputs["y"] > 25
    module = pipeline.compile(graph_of(made), DEFAULT)
    assert {o.op for o in module.operators if o.where == "host"} <= {"quantize", "dequantize", "reshape"}
    assert module.run(first["signal"])[1].bit_exact


@pytest.mark.parametrize("axis", [0, -3])
def test_stored_weights_stay_constants(axis):
    q = Qdq((1, 5, 30))
    weight, bias = q.weights(q.x, (7, 5, 3))
    for node in q.nodes:
        if node.output[0] == weight:
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("axis", axis))
    output = q.op("Relu", [q.plain("Conv", [q.x, weight, bias], pads=[1, 1])])
    placed = graph_passes.run(frontend.load(q.model(output).SerializeToString(), "line"), DEFAULT)
    assert [n.op for n in placed.nodes if n.where == "accel"] == ["conv2d"]
    images = q.images(3)
    units = np.abs(np.concatenate([reference.run(placed, {"x": x})[output] for x in images]) - q.run(images, output))
    assert np.rint(units / q.scales[output]).max() <= 1


def test_other_lines_stay():
    b = Builder(0)
    b.add("Softmax", [b.add("MaxPool", ["x"], "p", kernel_shape=[2])], "s", axis=-1)
    b.add("Concat", ["p", "s"], "y", axis=2)
    model = b.model({"x": [1, 3, 8]}, {"y": [1, 3, 14]})
    x = np.random.default_rng(0).normal(size=(1, 3, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(reference.run(graph_of(model), {"x": x})["y"], expected, rtol=1e-6)
