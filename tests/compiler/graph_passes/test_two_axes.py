"""Sequences and products of computed matrices, against ONNX's reference evaluator and on the functional device."""

import numpy as np
import pytest

from tests.compiler.frontends.qdq import Qdq
from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.frontends import onnx as frontend
from weft.isa import DEFAULT, PRESETS

EDGE = {"quantize", "dequantize"}


def placed_and_right(q, output, wrong=0.0):
    """The placed graph, whose values are at most a unit from ONNX's, nearly all of them equal; compiled it is bit-exact."""
    placed = graph_passes.run(frontend.load(q.model(output).SerializeToString(), "net"), DEFAULT)
    images = q.images(4)
    actual = np.concatenate([reference.run(placed, {"x": x})[output] for x in images])
    units = np.rint(np.abs(actual - q.run(images, output)) / q.scales[output])
    assert units.max() <= 1 and (units > 0).mean() <= wrong
    assert pipeline.build(placed, DEFAULT).run(images[0])[1].bit_exact
    return placed


def on_host(placed):
    return {node.op for node in placed.nodes if node.where == "host"} - EDGE


def symmetric(q, source):
    """A function of the tensor, with the zero point 0 that second factors have."""
    return q.op("Tanh", [source], (1 / 127, 0))


def test_rows_of_a_sequence_are_summed_on_the_accelerator():
    q = Qdq((1, 7, 20))
    y = q.op("Add", [q.x, q.op("Mul", [q.x, q.constant(np.float32(-0.5))])])
    placed = placed_and_right(q, y, 0.01)
    assert on_host(placed) == set()
    assert [node.op for node in placed.nodes if node.where == "accel"] == ["lut", "add"]


@pytest.mark.parametrize("zero_point", [0, 3])
@pytest.mark.parametrize("shape", [(1, 7, 20), (7, 20), (1, 1, 7, 20)], ids=str)
def test_a_matrix_times_its_transpose(shape, zero_point):
    q = Qdq(shape, zero_point=zero_point)
    axes = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    y = q.op("MatMul", [q.x, q.plain("Transpose", [symmetric(q, q.x)], perm=axes)])
    placed = placed_and_right(q, y, 0.01)
    assert on_host(placed) == ({"view", "product_bias"} if zero_point else {"view"})
    (dense,) = [node for node in placed.nodes if node.op == "dense"]
    assert dense.where == "accel" and placed.macs(dense) == 7 * 7 * 20
    assert placed.tensors[dense.inputs[1]].shape == (7, 20)


def test_a_second_factor_from_outside_is_packed_as_weights():
    q = Qdq((1, 7, 20), zero_point=0)
    y = q.op("MatMul", [q.op("Tanh", [q.x]), q.plain("Transpose", [q.x], perm=[0, 2, 1])])
    placed = placed_and_right(q, y, 0.01)
    assert "view" not in on_host(placed)
    assert any(node.reason == "folded into packing" and (7, 20) == placed.tensors[node.outputs[0]].shape for node in placed.nodes)


def test_heads_are_products_one_after_the_other():
    q = Qdq((1, 6, 24))
    heads = [q.plain("Transpose", [q.plain("Reshape", [symmetric(q, q.x), q.constant(np.array([1, 6, 3, 8]))])], perm=perm)
             for perm in ([0, 2, 1, 3], [0, 2, 3, 1])]
    shares = q.op("Softmax", [q.op("MatMul", heads)], (1 / 256, -128), axis=-1)
    y = q.op("MatMul", [shares, heads[0]])
    placed = placed_and_right(q, y, 0.02)
    products = [node for node in placed.nodes if node.op == "dense"]
    assert len(products) == 6 and {node.where for node in products} == {"accel"}
    assert sum(map(placed.macs, products)) == 2 * 3 * 6 * 6 * 8


def test_a_second_factor_with_a_zero_point_is_left_to_the_host():
    q = Qdq((1, 7, 20))
    placed = placed_and_right(q, q.op("MatMul", [q.x, q.plain("Transpose", [q.x], perm=[0, 2, 1])]), 0.01)
    (product,) = [node for node in placed.nodes if node.op == "MatMul"]
    assert product.where == "host"
    assert product.reason == "the zero point of its second operand is 3, which weights do not have"


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_products_on_every_machine(config):
    q = Qdq((1, 7, 20))
    y = q.op("MatMul", [q.x, q.plain("Transpose", [symmetric(q, q.x)], perm=[0, 2, 1])])
    module = pipeline.compile(frontend.load(q.model(y).SerializeToString(), "net"), config)
    assert module.run(q.images(1)[0])[1].bit_exact and sum(o.macs for o in module.operators if o.where == "accel") == 980
