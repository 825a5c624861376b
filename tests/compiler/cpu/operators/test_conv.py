"""Convolutions as machine code against what NumPy makes of them: exact for int8, close for float32."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, integers, meaning, reals, run
from weft.compiler.cpu import operators
from weft.compiler.cpu.layout import borders, inner_view
from weft.isa.quantise import HALF_AWAY, HALF_EVEN, HALF_UP, pack_lanes

each_form = pytest.mark.parametrize("form", FORMS, ids=str)
PAD = -5


def lanes(rng, channels: int, rounding: int = HALF_EVEN, shift=(22, 28), uniform: bool = True):
    """Parameters that spread sums over all of int8; ties are as good as sure to be among so many."""
    spread = lambda low, high: rng.integers(low, high, None if uniform else channels)  # noqa: E731
    return pack_lanes(rng.integers(-1000, 1000, channels).astype(np.int32), rng.integers(1 << 16, 1 << 17, channels),
                      rng.integers(*shift, channels), spread(-10, 10), spread(-128, -100), spread(100, 128), rounding)


def convolution(rng, n=1, ci=8, h=6, w=7, co=16, kernel=(3, 3), strides=(1, 1), pads=(1, 1, 1, 1), dilations=(1, 1),
                groups=1, parts=1, table=False, add=False, parameters=None, op=None):
    """(graph, inputs) of conv2d, conv2d_add or depthwise_conv2d."""
    parameters = lanes(rng, co) if parameters is None else parameters
    inputs = {"x": integers(rng, (n, ci, h, w))}
    constants = {"w": integers(rng, (co, ci // groups, kernel[0] * parts, kernel[1])), "q": parameters}
    attrs = dict(strides=strides, pads=pads, dilations=dilations, groups=groups, pad_value=PAD, parts=parts)
    order = ["x", "w", "q"]
    if add:
        size = [(extent + pads[k] + pads[k + 2] - (kernel[k] - 1) * dilations[k] - 1) // strides[k] + 1
                for k, extent in enumerate((h, w))]
        inputs["other"] = integers(rng, (n, co, *size))
        constants["q_sum"] = lanes(rng, co, int(parameters["shift"][0] >> 6), (17, 20))
        attrs["multipliers"] = (3, -2)
        order += ["other", "q_sum"]
    if table:
        constants["table"] = integers(rng, (256,))
        order.append("table")
    return graph_of(op or ("conv2d_add" if add else "conv2d"), inputs, attrs, constants, tuple(order)), inputs


def images(graph, row_major=()) -> dict:
    (node,) = graph.nodes
    around, _ = borders(graph, [node])
    return {name: inner_view(graph, name, name not in row_major, around.get(name)) for name in (*node.inputs, *node.outputs)
            if name and name not in graph.constants}


def exact(graph, inputs, form, parts=3):
    (y,), (expected,) = run(graph, inputs, images(graph), form, parts, {"x": PAD}), meaning(graph, inputs)
    np.testing.assert_array_equal(y, expected)
    assert len(np.unique(expected)) > min(8, expected.size // 4)


KINDS = {
    "3x3": dict(), "1x1": dict(kernel=(1, 1), pads=(0, 0, 0, 0), ci=20, co=40), "rows of several tiles": dict(w=45, co=32),
    "stride 2, three channels": dict(ci=3, h=9, w=9, strides=(2, 2), co=32),
    "1x1 stride 2": dict(kernel=(1, 1), strides=(2, 2), pads=(0,) * 4),
    "dilated": dict(dilations=(2, 2), pads=(2, 2, 2, 2)), "odd channels": dict(ci=5, co=21), "few outputs": dict(co=3),
    "many outputs": dict(co=112, h=2, w=3), "batch": dict(n=3, h=3, w=3), "a row out": dict(pads=(-1, 1, 1, 0)),
    "flat": dict(kernel=(1, 5), pads=(0, 2, 0, 2)),
    "groups": dict(groups=2, ci=16, co=32), "small groups": dict(groups=3, ci=6, co=9),
    "groups of four": dict(groups=4, ci=16, co=16),
    "parts": dict(parts=2), "table": dict(table=True), "add": dict(add=True),
    "add, 1x1": dict(add=True, kernel=(1, 1), pads=(0,) * 4),
    "add, table": dict(add=True, table=True), "big weights": dict(ci=64, co=512, h=3, w=3),
}


@each_form
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_int8(form, kind):
    graph, inputs = convolution(np.random.default_rng(7), **KINDS[kind])
    exact(graph, inputs, form)


@each_form
@pytest.mark.parametrize("rounding", [HALF_UP, HALF_EVEN, HALF_AWAY])
@pytest.mark.parametrize("shift, uniform", [((18, 20), True), ((24, 26), False), ((33, 36), True)])
def test_ways_of_requantising(form, rounding, shift, uniform):
    """Among them sums beyond what float32 holds, and scales that are too large or too small for it."""
    rng = np.random.default_rng(3)
    graph, inputs = convolution(rng, ci=200, co=16, parameters=lanes(rng, 16, rounding, shift, uniform))
    (y,), (expected,) = run(graph, inputs, images(graph), form, 1, {"x": PAD}), meaning(graph, inputs)
    np.testing.assert_array_equal(y, expected)


@each_form
def test_ties(form):
    rng = np.random.default_rng(4)
    for rounding in (HALF_UP, HALF_EVEN, HALF_AWAY):
        parameters = pack_lanes(np.zeros(16, np.int32), 1, np.full(16, 3), 0, -128, 127, rounding)
        graph, inputs = convolution(rng, ci=1, kernel=(1, 1), pads=(0,) * 4, parameters=parameters)
        graph.constants["w"][...] = rng.integers(-3, 4, graph.constants["w"].shape)
        exact(graph, inputs, form)


@given(st.data())
@settings(max_examples=10, deadline=None)
def test_any_int8(data):
    """Forms beside the fastest are drawn less often: what they share is most of it."""
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    rng = np.random.default_rng(draw(0, 2**32 - 1))
    groups = data.draw(st.sampled_from((1, 1, 2, 3)))
    add = data.draw(st.booleans())
    shape = dict(n=draw(1, 2), ci=groups * draw(1, 20), co=groups * draw(1, 40), groups=groups,
                 kernel=(draw(1, 3), draw(1, 4)),
                 strides=(draw(1, 2), draw(1, 3)), dilations=(draw(1, 2), draw(1, 2)),
                 pads=tuple(draw(0, 2) for _ in range(4)),
                 h=draw(6, 9), w=draw(7, 33), add=add, table=data.draw(st.booleans()), parts=draw(1, 2))
    graph, inputs = convolution(rng, **shape)
    form = data.draw(st.sampled_from((FORMS[0], *FORMS)))
    (y,), (expected,) = run(graph, inputs, images(graph), form, 2, {"x": PAD}), meaning(graph, inputs)
    np.testing.assert_array_equal(y, expected)


def real(rng, n=1, ci=8, h=6, w=7, co=16, kernel=(3, 3), bias=True, **attrs):
    inputs = {"x": reals(rng, (n, ci, h, w))}
    constants = {"w": reals(rng, (co, ci // attrs.get("group", 1), *kernel))} | ({"b": reals(rng, (co,))} if bias else {})
    return graph_of("Conv", inputs, attrs, constants), inputs


REALS = {
    "3x3": dict(pads=(1, 1, 1, 1)), "no bias": dict(bias=False), "clamped": dict(minimum=0.0, maximum=6.0),
    "below": dict(minimum=0.0),
    "1x1": dict(kernel=(1, 1), ci=20, co=40), "stride": dict(strides=(2, 2), ci=3, h=9, w=9),
    "same": dict(auto_pad="SAME_UPPER", strides=(2, 1)),
    "dilated": dict(dilations=(2, 2)), "groups": dict(group=2), "few": dict(co=3), "long": dict(w=40, co=48, n=2),
    "big weights": dict(ci=64, co=256, h=3, w=3),
}


@each_form
@pytest.mark.parametrize("kind", REALS)
def test_kinds_of_float32(form, kind):
    graph, inputs = real(np.random.default_rng(2), **REALS[kind])
    (y,), (expected,) = run(graph, inputs, images(graph), form, 2, {"x": 0}), meaning(graph, inputs)
    assert np.abs(y - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


def test_what_has_no_kernel():
    rng = np.random.default_rng(0)
    graph, _ = convolution(rng)
    (node,) = graph.nodes
    assert operators.why_not(node, graph) == ""
    node.attrs["gather"] = ()
    assert operators.why_not(node, graph) == "its input is gathered"
    del node.attrs["gather"]
    graph.constants["q"]["shift"][0] ^= 1 << 6
    assert operators.why_not(node, graph) == "its channels round in different ways"
    del graph.constants["w"]
    assert operators.why_not(node, graph) == "its parameters 'w' are not constant"
    graph, _ = real(rng)
    graph.tensors["x"] = graph.tensors["y0"] = graph.tensors["x"].__class__((1, 8, 6), "float32")
    assert operators.why_not(graph.nodes[0], graph) == "it is no image of float32"
