"""Softmax on CPUs: of stored integers bit for bit, of real numbers within a few units in the last place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, outside, reals, run, shapes, views_of
from weft.runtime.kernels.normalise import exponentials

LAYOUTS = st.sampled_from([inside, outside])


@given(shapes(1, 4, 40), st.integers(0, 3), LAYOUTS, st.sampled_from(FORMS), st.integers(1, 2))
def test_real(shape, axis, layout, form, parts):
    x = reals(np.random.default_rng(0), shape, 10)
    graph = graph_of("Softmax", {"x": x}, {"axis": axis % len(shape) - len(shape)})
    (found,), (true,) = run(graph, {"x": x}, views_of(graph, layout), form, parts), meaning(graph, {"x": x})
    assert np.allclose(found, true, rtol=2e-6, atol=1e-12)


def test_large_and_infinite_numbers():
    x = np.array([[1e30, 0, -1e30] * 11, [-np.inf, 0, 1] * 11], np.float32)
    graph = graph_of("Softmax", {"x": x}, {})
    assert np.allclose(run(graph, {"x": x}, views_of(graph))[0], meaning(graph, {"x": x})[0], rtol=1e-6)


@given(shapes(1, 4, 40), st.integers(0, 3), LAYOUTS, st.sampled_from(FORMS), st.floats(0.001, 0.5), st.booleans(),
       st.booleans())
def test_stored(shape, axis, layout, form, scale, even, unsigned):
    x = integers(np.random.default_rng(1), shape)
    attrs = {"axis": axis % len(shape), "scale": 1 / 256, "zero_point": 0 if unsigned else -128,
             "dtype": "uint8" if unsigned else "int8", "rounding": "half_even" if even else "half_away"}
    graph = graph_of("softmax", {"x": x}, attrs, {"t": exponentials(scale)})
    assert np.array_equal(run(graph, {"x": x}, views_of(graph, layout), form)[0], meaning(graph, {"x": x})[0])


@pytest.mark.parametrize("classes", [10, 12, 1001])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_classifier_s_end(classes, form):
    x = integers(np.random.default_rng(2), (1, classes))
    attrs = {"axis": 1, "scale": 1 / 256, "zero_point": -128, "dtype": "int8", "rounding": "half_away"}
    graph = graph_of("softmax", {"x": x}, attrs, {"t": exponentials(0.1)})
    assert np.array_equal(run(graph, {"x": x}, views_of(graph), form)[0], meaning(graph, {"x": x})[0])
