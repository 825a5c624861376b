"""Functions that networks write as several operators."""

import numpy as np
import pytest

from tests.compiler.frontends.qdq import Qdq
from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.frontends import onnx as frontend
from weft.isa import DEFAULT


def number(q, value):
    return q.constant(np.float32(value))


def gelu_by_tanh(q, x):
    cube = q.plain("Mul", [q.plain("Mul", [x, x]), x])
    inner = q.plain("Mul", [q.plain("Add", [x, q.plain("Mul", [cube, number(q, 0.044715)])]), number(q, np.sqrt(2 / np.pi))])
    return q.op("Mul", [q.plain("Mul", [x, number(q, 0.5)]), q.plain("Add", [q.plain("Tanh", [inner]), number(q, 1)])])


def gelu_by_erf(q, x):
    return q.op("Mul", [x, q.plain("Add", [q.plain("Erf", [q.plain("Div", [x, number(q, 1.4142135)])]), number(q, 1)])])


def silu(q, x):
    return q.op("Mul", [x, q.plain("Sigmoid", [x])])


def limited(q, x):
    return q.op("Mul", [x, q.plain("Clip", [q.plain("Add", [x, number(q, 3)]), number(q, 0), number(q, 6)])])


@pytest.mark.parametrize("function", [gelu_by_tanh, gelu_by_erf, silu, limited])
@pytest.mark.parametrize("shape", [(1, 5, 6, 7), (1, 9, 20)], ids=["image", "sequence"])
def test_one_table(function, shape):
    q = Qdq(shape)
    y = function(q, q.op("Tanh", [q.x]))
    placed = graph_passes.run(frontend.load(q.model(y).SerializeToString(), "net"), DEFAULT)
    assert {node.op for node in placed.nodes if node.where == "accel"} == {"lut"}
    assert {node.op for node in placed.nodes if node.where == "host"} == {"quantize", "dequantize"}
    images = q.images(3)
    units = np.rint(np.abs(np.concatenate([reference.run(placed, {"x": x})[y] for x in images]) - q.run(images, y)) / q.scales[y])
    assert units.max() <= 1 and (units > 0).mean() < 0.01
    assert pipeline.build(placed, DEFAULT).run(images[0])[1].bit_exact


def test_of_two_values_there_is_no_table():
    q = Qdq((1, 5, 6, 7))
    y = q.op("Mul", [q.x, q.plain("Sigmoid", [q.op("MaxPool", [q.x], kernel_shape=[3, 3], pads=[1] * 4)])])
    graph = frontend.load(q.model(y).SerializeToString(), "net")
    before = [node.op for node in graph.nodes]
    graph_passes.Functions()(graph, DEFAULT)
    assert [node.op for node in graph.nodes] == before


def test_what_is_not_a_number_stays():
    q = Qdq((1, 5))
    y = q.op("Mul", [q.plain("Sqrt", [q.x]), number(q, 2)], (0.1, 0))
    graph = frontend.load(q.model(y).SerializeToString(), "net")
    graph_passes.Functions()(graph, DEFAULT)
    assert "lut" not in {node.op for node in graph.nodes}


def test_a_change_of_scale_alone_is_a_requantise():
    q = Qdq((1, 5, 6, 7))
    y = q.op("Tanh", [q.quantise(q.x, 0.03, 0)])
    placed = graph_passes.run(frontend.load(q.model(y).SerializeToString(), "net"), DEFAULT)
    assert [node.op for node in placed.nodes] == ["quantize", "requantise", "dequantize"]
    x = q.images(1)[0]
    assert np.abs(reference.run(placed, {"x": x})[y] - q.run([x], y)).max() <= 1.5 * q.scales[y]
    assert pipeline.build(placed, DEFAULT).run(x)[1].bit_exact
