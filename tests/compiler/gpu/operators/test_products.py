"""Products of int8 on tensor cores: equal to NumPy's, and accepted by ptxas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.cpu.harness import graph_of, integers, meaning
from tests.compiler.cpu.operators.test_integers import lanes
from tests.compiler.gpu.harness import run
from weft.compiler.gpu import operators


def convolution(rng, shape, channels, kernel, stride=1, pads=(0, 0, 0, 0), dilation=1, rounding=1, uniform=True, table=False, added=False):
    x, w = integers(rng, shape), integers(rng, (channels, shape[1], *kernel))
    attrs = {"strides": (stride, stride), "pads": pads, "dilations": (dilation, dilation), "groups": 1, "pad_value": -3}
    largest = shape[1] * kernel[0] * kernel[1] * 4000
    constants = {"w": w, "q": lanes(rng, channels, largest, rounding, uniform)} | ({"t": integers(rng, 256)} if table else {})
    graph = graph_of("conv2d", {"x": x}, attrs, constants)
    if not added:
        return graph, {"x": x}
    other = integers(rng, graph.tensors["y0"].shape)
    constants = {"w": w, "q": constants["q"], "s": lanes(rng, channels, 1 << 20, rounding, uniform)} | ({"t": constants["t"]} if table else {})
    order = ("x", "w", "q", "z", "s", *(["t"] if table else []))
    return graph_of("conv2d_add", {"x": x, "z": other}, attrs | {"multipliers": (5000, -3000)}, constants, order), {"x": x, "z": other}


CASES = {
    "3x3": ((1, 16, 8, 8), 16, (3, 3), 1, (1, 1, 1, 1)),
    "first layer": ((1, 3, 17, 13), 20, (7, 7), 2, (3, 3, 3, 3)),
    "two images": ((2, 40, 9, 9), 70, (3, 3), 2, (0, 1, 1, 0)),
    "1x1": ((1, 64, 14, 14), 256, (1, 1)),
    "dilated": ((1, 16, 9, 9), 8, (3, 1), 1, (2, 0, 2, 0), 2),
    "rows left out": ((1, 8, 9, 9), 8, (1, 1), 1, (-1, -2, 0, -1)),
}


@pytest.mark.parametrize("case", CASES)
def test_convolutions_equal_their_meaning(case):
    rng = np.random.default_rng(0)
    graph, inputs = convolution(rng, *CASES[case])
    assert np.array_equal(run(graph, inputs)[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("rounding, uniform, table, added", [(0, True, True, False), (2, False, False, False), (1, False, True, True),
                                                             (1, True, False, True)])
def test_what_follows_the_sums(rounding, uniform, table, added):
    rng = np.random.default_rng(1)
    graph, inputs = convolution(rng, (1, 20, 6, 5), 24, (3, 3), 1, (1, 1, 1, 1), 1, rounding, uniform, table, added)
    assert np.array_equal(run(graph, inputs)[0], meaning(graph, inputs)[0])


@settings(max_examples=4)
@given(st.integers(1, 2), st.integers(1, 40), st.integers(1, 9), st.integers(1, 40), st.integers(1, 3), st.integers(1, 2), st.integers(0, 9))
def test_any_convolution(n, c, size, o, k, stride, seed):
    rng = np.random.default_rng(seed)
    graph, inputs = convolution(rng, (n, c, size + 2, size + k), o, (k, k), stride, tuple(rng.integers(0, k, 4).tolist()))
    assert np.array_equal(run(graph, inputs)[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("rows, channels, outputs, table", [(1, 64, 10, False), (3, 20, 33, True), (40, 7, 5, False)])
def test_matrix_products_equal_their_meaning(rows, channels, outputs, table):
    rng = np.random.default_rng(2)
    x = integers(rng, (rows, channels))
    constants = {"w": integers(rng, (outputs, channels)), "q": lanes(rng, outputs, channels * 4000, 1, True)}
    graph = graph_of("dense", {"x": x}, {}, constants | ({"t": integers(rng, 256)} if table else {}))
    assert np.array_equal(run(graph, {"x": x})[0], meaning(graph, {"x": x})[0])


def test_weights_of_two_parts():
    rng = np.random.default_rng(3)
    x, w = integers(rng, (1, 8, 6, 6)), integers(rng, (8, 8, 6, 3))
    attrs = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "groups": 1, "pad_value": 5, "parts": 2}
    graph = graph_of("conv2d", {"x": x}, attrs, {"w": w, "q": lanes(rng, 8, 1 << 19, 1, True)})
    assert np.array_equal(run(graph, {"x": x})[0], meaning(graph, {"x": x})[0])


def test_what_has_no_kernel():
    rng = np.random.default_rng(4)
    x, w = integers(rng, (1, 8, 4, 4)), integers(rng, (8, 4, 1, 1))
    attrs = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 2, "pad_value": 0}
    graph = graph_of("conv2d", {"x": x}, attrs, {"w": w, "q": lanes(rng, 8, 1 << 14, 1, True)})
    assert operators.why_not(graph.nodes[0], graph) == "its groups have no kernel for GPUs"
