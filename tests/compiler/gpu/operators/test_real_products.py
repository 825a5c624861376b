"""Convolutions and matrix products of float32: close to NumPy's, and accepted by ptxas."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import graph_of, meaning, reals
from tests.compiler.gpu.harness import run


def check(op, inputs, attrs, constants=None, order=None):
    graph = graph_of(op, inputs, attrs, constants, order)
    expected = meaning(graph, inputs)[0]
    assert np.abs(run(graph, inputs)[0] - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("shape, outputs, kernel, attrs", [
    ((1, 3, 9, 8), 20, (3, 3), {"pads": (1, 1, 1, 1), "maximum": 2.0}), ((2, 17, 6, 6), 5, (1, 1), {"strides": (2, 2)}),
    ((1, 4, 9, 9), 70, (3, 2), {"auto_pad": "SAME_UPPER", "dilations": (2, 1)})])
def test_convolutions(shape, outputs, kernel, attrs):
    rng = np.random.default_rng(0)
    check("Conv", {"x": reals(rng, shape)}, attrs, {"w": reals(rng, (outputs, shape[1], *kernel)), "b": reals(rng, (outputs,))})


@pytest.mark.parametrize("channels, outputs, groups", [(8, 12, 2), (6, 12, 6), (4, 4, 2)])
def test_convolutions_of_groups(channels, outputs, groups):
    rng = np.random.default_rng(5)
    constants = {"w": reals(rng, (outputs, channels // groups, 3, 3)), "b": reals(rng, (outputs,))}
    check("Conv", {"x": reals(rng, (1, channels, 6, 5))}, {"group": groups, "pads": (1, 1, 1, 1)}, constants)


@pytest.mark.parametrize("channels, kernel, bias", [(8, (3, 3), True), (19, (5, 1), False)])
def test_depthwise_convolutions(channels, kernel, bias):
    rng = np.random.default_rng(1)
    constants = {"w": reals(rng, (channels, 1, *kernel))} | ({"b": reals(rng, (channels,))} if bias else {})
    check("Conv", {"x": reals(rng, (1, channels, 7, 6))}, {"group": channels, "pads": (kernel[0] // 2, kernel[1] // 2) * 2, "minimum": 0.0}, constants)


@pytest.mark.parametrize("attrs, a, b, c", [
    ({}, (3, 40), (40, 70), (70,)), ({"transB": 1, "alpha": 0.5, "beta": 2.0}, (20, 8), (9, 8), (20, 1)), ({"transA": 1}, (16, 33), (16, 5), None),
    ({"transB": 1}, (2, 24, 1, 1), (10, 24), (1, 10))])
def test_gemm(attrs, a, b, c):
    rng = np.random.default_rng(2)
    constants = {"b": reals(rng, b)} | ({"c": reals(rng, c)} if c else {})
    check("Gemm", {"a": reals(rng, a)}, attrs, constants)


@pytest.mark.parametrize("a, b", [((5, 7), (7, 9)), ((2, 3, 20, 16), (2, 3, 16, 18)), ((4, 5, 6), (6, 3)), ((2, 1, 3, 4), (3, 4, 2))])
def test_matrix_products_of_two_computed_factors(a, b):
    rng = np.random.default_rng(3)
    check("MatMul", {"a": reals(rng, a), "b": reals(rng, b)}, {})


def test_what_is_not_a_number_stays_in_its_channel():
    """Memory behind the channels may hold anything, NaN too."""
    rng = np.random.default_rng(4)
    x = reals(rng, (1, 5, 4, 4))
    x[0, 1] = np.inf
    graph = graph_of("Conv", {"x": x}, {"group": 5}, {"w": np.ones((5, 1, 1, 1), np.float32)})
    assert np.array_equal(run(graph, {"x": x})[0], x)
