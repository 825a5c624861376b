"""Batch normalisations in the convolutions before them, or as a product and a sum."""

import dataclasses

import numpy as np
import pytest

from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes import FoldNorms
from weft.isa import DEFAULT
from weft.runtime.kernels import KERNELS

C = 5


def graph(*ops: str, shape=(1, C, 6, 6)) -> Graph:
    rng, made = np.random.default_rng(0), Graph("g", inputs=["x"])
    made.tensors["x"] = TensorType(shape, "float32")
    x = "x"
    for k, op in enumerate(ops):
        values = {"Conv": [(C, C, 1, 1)], "BatchNormalization": [(C,)] * 4, "Relu": []}[op]
        names = [made.add_constant(f"{op}{k}.{i}", np.abs(rng.standard_normal(size)).astype(np.float32))
                 for i, size in enumerate(values)]
        made.tensors[f"t{k}"] = TensorType(shape, "float32")
        made.nodes.append(Node(f"n{k}", op, [x, *names], [x := f"t{k}"], {"epsilon": 1e-3} if op[0] == "B" else {}))
    made.outputs = [x]
    return made


def folded(plain: Graph) -> Graph:
    made = plain.copy()
    FoldNorms()(made, DEFAULT)
    made.prune()
    made.validate()
    return made


def run(made: Graph) -> np.ndarray:
    values = {**made.constants, "x": np.random.default_rng(1).standard_normal(made.tensors["x"].shape).astype(np.float32)}
    for node in made.nodes:
        values |= zip(node.outputs, KERNELS[node.op](node.attrs, *(values[name] for name in node.inputs)))
    return values[made.outputs[0]]


@pytest.mark.parametrize("ops, expected", [
    (("Conv", "BatchNormalization"), ["Conv"]), (("Relu", "BatchNormalization"), ["Relu", "Mul", "Add"]),
    (("Conv", "Relu", "BatchNormalization"), ["Conv", "Relu", "Mul", "Add"])])
def test_where_they_go(ops, expected):
    plain = graph(*ops)
    made = folded(plain)
    assert [node.op for node in made.nodes] == expected
    assert np.allclose(run(made), run(plain), rtol=1e-5, atol=1e-5)


def test_rows_are_normalised_as_well():
    plain = graph("BatchNormalization", shape=(3, C))
    made = folded(plain)
    assert [node.op for node in made.nodes] == ["Mul", "Add"] and np.allclose(run(made), run(plain), rtol=1e-5, atol=1e-5)


def test_quantised_networks_stay():
    plain = graph("Conv", "BatchNormalization")
    plain.tensors["t0"] = dataclasses.replace(plain.tensors["t0"], scale=0.1, zero_point=0, dtype="int8")
    assert [node.op for node in folded(plain).nodes] == ["Conv", "BatchNormalization"]
