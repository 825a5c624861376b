"""Transposed convolutions of float32 as pieces of ordinary ones: the same values, and machine code for all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weft
from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes import SplitTransposed
from weft.isa import DEFAULT
from weft.runtime.kernels import KERNELS


def graph(attrs: dict, channels: int, each: int, size: tuple[int, int], kernel: tuple[int, int]) -> Graph:
    rng, made = np.random.default_rng(0), Graph("g", inputs=["x"], outputs=["y"])
    w = made.add_constant("w", rng.standard_normal((channels, each, *kernel)).astype(np.float32))
    b = made.add_constant("b", rng.standard_normal(each * attrs.get("group", 1)).astype(np.float32))
    x = rng.standard_normal((2, channels, *size)).astype(np.float32)
    (y,) = KERNELS["ConvTranspose"](attrs, x, made.constants[w], made.constants[b])
    made.tensors |= {name: TensorType(value.shape, "float32") for name, value in (("x", x), ("y", y))}
    made.nodes = [Node("n", "ConvTranspose", ["x", w, b], ["y"], attrs)]
    return made


def values(made: Graph, x: np.ndarray) -> np.ndarray:
    found = {**made.constants, "x": x}
    for node in made.nodes:
        found |= zip(node.outputs, KERNELS[node.op](node.attrs, *(found[name] for name in node.inputs)))
    return found["y"]


@settings(max_examples=15)
@given(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(0, 1),
       st.integers(1, 2), st.booleans())
def test_the_same_values(strides, kernel, pad, group, clamped):
    attrs = {"strides": strides, "pads": (pad * (kernel[0] > 1), 0, 0, pad * (kernel[1] > 1)), "group": group}
    attrs |= {"minimum": 0.0} if clamped else {}
    plain = graph(attrs, 4, 3, (5, 6), kernel)
    made = plain.copy()
    SplitTransposed()(made, DEFAULT)
    made.prune()
    made.validate()
    assert "ConvTranspose" not in {node.op for node in made.nodes}
    assert made.nodes[0].op == "Conv" or made.macs(made.nodes[0]) == plain.macs(plain.nodes[0])
    x = np.random.default_rng(1).standard_normal((2, 4, 5, 6)).astype(np.float32)
    assert np.allclose(values(made, x), values(plain, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attrs", [{"strides": (2, 2), "pads": (1, 1, 1, 1)},
                                   {"strides": (3, 2), "output_padding": (1, 1), "group": 4}])
def test_machine_code_for_all_of_it(attrs):
    plain = graph(attrs, 20, 3, (5, 6), (4, 3))
    module = weft.compile(plain, target="cpu", cpu="native")
    assert {o.where for o in module.operators} == {"cpu"}
    x = np.random.default_rng(1).standard_normal((2, 20, 5, 6)).astype(np.float32)
    outputs, report = module.run(x)
    assert report.agrees and np.allclose(outputs["y"], values(plain, x), rtol=1e-5, atol=1e-5)


def test_too_many_pieces_stay():
    made = graph({"strides": (9, 9)}, 4, 3, (3, 3), (9, 9))
    SplitTransposed()(made, DEFAULT)
    (node,) = made.nodes
    assert node.op == "ConvTranspose" and node.reason == "it takes 81 pieces that differ, more than 64"
