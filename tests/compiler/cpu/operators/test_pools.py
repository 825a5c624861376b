"""Pools and reductions on CPUs, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, outside, reals, run, shapes, views_of
from tests.compiler.cpu.operators.test_integers import lanes
from weft.compiler.cpu.layout import inner_view, reach


def bordered(graph):
    """Views as the planner has them, and what their borders hold."""
    (node,) = graph.nodes
    border = reach(node, graph)
    views = {node.inputs[0]: inner_view(graph, node.inputs[0], True, border), "y0": inside(graph, "y0")}
    return views, {node.inputs[0]: border.value} if border else {}


@st.composite
def windows(draw):
    size = [draw(st.integers(1, 9)) for _ in range(2)]
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in size)
    pads = tuple(draw(st.integers(0, k - 1)) for k in (*kernel, *kernel))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(2))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 40)), *size)
    attrs = {"kernel": kernel, "strides": strides, "pads": pads}
    return shape, attrs, draw(st.integers(0, 99)), draw(st.sampled_from(FORMS))


@given(windows())
def test_max_pool(case):
    shape, attrs, seed, form = case
    attrs |= {"minimum": -20, "maximum": 90} if seed % 2 else {}
    x = integers(np.random.default_rng(seed), shape)
    graph = graph_of("max_pool", {"x": x}, attrs)
    views, pads = bordered(graph)
    assert np.array_equal(run(graph, {"x": x}, views, form, 1 + seed % 2, pads)[0], meaning(graph, {"x": x})[0])


@given(windows())
def test_avg_pool(case):
    shape, attrs, seed, form = case
    rng = np.random.default_rng(seed)
    x = integers(rng, shape)
    graph = graph_of("avg_pool", {"x": x}, attrs | {"pad_value": -7}, {"q": lanes(rng, shape[1], 800, seed % 3, seed % 2)})
    views, pads = bordered(graph)
    assert np.array_equal(run(graph, {"x": x}, views, form, 1 + seed % 2, pads)[0], meaning(graph, {"x": x})[0])


@given(windows(), st.sampled_from(["MaxPool", "AveragePool"]), st.booleans(), st.booleans())
def test_pools_of_real_numbers(case, op, ceil, count_pad):
    shape, attrs, seed, form = case
    attrs = {"kernel_shape": attrs["kernel"], "strides": attrs["strides"], "pads": attrs["pads"], "ceil_mode": int(ceil)}
    attrs |= {"count_include_pad": int(count_pad)} if op == "AveragePool" else {}
    attrs |= {"minimum": 0.0} if seed % 2 else {}
    x = reals(np.random.default_rng(seed), shape)
    graph = graph_of(op, {"x": x}, attrs)
    views, pads = bordered(graph)
    assert np.allclose(run(graph, {"x": x}, views, form, 1, pads)[0], meaning(graph, {"x": x})[0], rtol=1e-5, atol=1e-5)


def test_a_window_with_steps():
    x = reals(np.random.default_rng(0), (1, 16, 9, 9))
    graph = graph_of("MaxPool", {"x": x}, {"kernel_shape": (3, 2), "dilations": (2, 3), "auto_pad": "SAME_UPPER"})
    views, pads = bordered(graph)
    assert np.array_equal(run(graph, {"x": x}, views, pads=pads)[0], meaning(graph, {"x": x})[0])


@given(shapes(2, 4, 40), st.randoms(use_true_random=False), st.sampled_from(["ReduceMean", "ReduceMax"]), st.booleans(),
       st.booleans(), st.sampled_from(FORMS))
def test_reductions_over_any_axes(shape, random, op, keepdims, image, form):
    axes = tuple(random.sample(range(len(shape)), random.randint(1, len(shape))))
    x = reals(np.random.default_rng(0), shape)
    graph = graph_of(op, {"x": x}, {"axes": axes, "keepdims": int(keepdims)})
    views = views_of(graph, inside if image else outside)
    assert np.allclose(run(graph, {"x": x}, views, form)[0], meaning(graph, {"x": x})[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [(1, 64, 7, 7), (2, 5, 3, 9), (2, 3, 5)])
def test_whole_images(op, shape):
    x = reals(np.random.default_rng(1), shape)
    graph = graph_of(op, {"x": x}, {})
    for layout in (inside, outside):
        for form in FORMS:
            (found,), (true,) = run(graph, {"x": x}, views_of(graph, layout), form, 2), meaning(graph, {"x": x})
            assert np.allclose(found, true, rtol=1e-6, atol=1e-7)
