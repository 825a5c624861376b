"""Resizing on CPUs, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, meaning, outside, reals, run, views_of
from weft.compiler.cpu import operators

MODES = st.sampled_from([("nearest", "half_pixel"), ("nearest", "asymmetric"), ("linear", "half_pixel"),
                         ("linear", "align_corners")])
SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 15), st.integers(1, 15))


@given(st.integers(1, 20), *SIZES, MODES, st.booleans(), st.sampled_from(FORMS))
def test_any_size(channels, before, after, modes, image, form):
    x = reals(np.random.default_rng(0), (1, channels, *before))
    attrs = {"mode": modes[0], "coordinate_transformation_mode": modes[1], "sizes": (1, channels, *after)}
    graph = graph_of("Resize", {"x": x}, attrs)
    views = views_of(graph, inside if image else outside)
    (found,), (true,) = run(graph, {"x": x}, views, form, 2), meaning(graph, {"x": x})
    assert np.allclose(found, true, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("rank", [2, 3])
def test_scales_of_any_axes(rank):
    x = reals(np.random.default_rng(1), (6, 5, 4)[:rank])
    graph = graph_of("Resize", {"x": x}, {"mode": "linear", "scales": (1.0, 2.5, 0.5)[:rank], "maximum": 1.0})
    assert np.allclose(run(graph, {"x": x}, views_of(graph))[0], meaning(graph, {"x": x})[0], rtol=1e-6, atol=1e-6)


def test_cubic_resizing_is_refused():
    x = reals(np.random.default_rng(2), (1, 1, 4, 4))
    graph = graph_of("Resize", {"x": x}, {"scales": (1.0, 1.0, 2.0, 2.0)})
    graph.nodes[0].attrs["mode"] = "cubic"
    assert operators.why_not(graph.nodes[0], graph) == "the CPU resizes float32 by nearest and linear, not float32 by cubic"
