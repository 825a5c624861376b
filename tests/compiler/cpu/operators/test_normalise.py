"""Normalisations on CPUs, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, meaning, outside, reals, run, shapes, views_of
from weft.compiler.cpu import operators


@given(shapes(1, 4, 40), st.integers(1, 4), st.booleans(), st.sampled_from(FORMS), st.integers(0, 9))
def test_layers(shape, over, with_bias, form, offset):
    rng, axis = np.random.default_rng(offset), -min(over, len(shape))
    x = reals(rng, shape) + np.float32(offset)
    constants = {"g": reals(rng, shape[axis:])} | ({"b": reals(rng, shape[axis:])} if with_bias else {})
    graph = graph_of("LayerNormalization", {"x": x}, {"axis": axis, "epsilon": 1e-3}, constants)
    views = views_of(graph, outside if over > 1 or offset % 2 else inside)
    (found,), (true,) = run(graph, {"x": x}, views, form, 1 + offset % 2), meaning(graph, {"x": x})
    assert np.allclose(found, true, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_layer_of_a_transformer(form):
    rng = np.random.default_rng(0)
    x = reals(rng, (1, 99, 64))
    constants = {"g": reals(rng, 64), "b": reals(rng, 64)}
    graph = graph_of("LayerNormalization", {"x": x}, {"axis": -1, "epsilon": 1e-6}, constants)
    (found,), (true,) = run(graph, {"x": x}, views_of(graph), form, 2), meaning(graph, {"x": x})
    assert np.array_equal(found, true)


@pytest.mark.parametrize("shape", [(1, 20, 5, 7), (2, 3, 9)])
@pytest.mark.parametrize("layout", [inside, outside])
def test_batches(shape, layout):
    rng = np.random.default_rng(1)
    x, c = reals(rng, shape), shape[1]
    constants = {"s": reals(rng, c), "b": reals(rng, c), "m": reals(rng, c), "v": np.abs(reals(rng, c)) + np.float32(0.1)}
    graph = graph_of("BatchNormalization", {"x": x}, {"epsilon": 1e-3, "minimum": 0.0}, constants)
    assert np.allclose(run(graph, {"x": x}, views_of(graph, layout))[0], meaning(graph, {"x": x})[0], rtol=1e-5, atol=1e-5)


def test_scales_that_are_computed_are_refused():
    rng = np.random.default_rng(2)
    graph = graph_of("LayerNormalization", {"x": reals(rng, (2, 16)), "g": reals(rng, 16)}, {"axis": -1})
    assert operators.why_not(graph.nodes[0], graph) == "its parameters are not constant"
