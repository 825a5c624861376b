"""Operators on int8 point by point on CPUs: equal to NumPy's, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, outside, run, views_of
from weft.compiler.cpu import operators
from weft.isa.quantise import pack_lanes, quantise_multiplier

ROUNDINGS = 3


def lanes(rng, channels, largest, rounding, uniform):
    """Parameters that bring sums up to `largest` into int8's range and beyond."""
    multiplier, shift = quantise_multiplier(rng.uniform(0.5, 2, channels) * 128 / largest)
    if uniform:
        low, high, zero_point = int(rng.integers(-128, 0)), int(rng.integers(0, 128)), int(rng.integers(-128, 128))
    else:
        low, high = rng.integers(-128, 0, channels), rng.integers(0, 128, channels)
        zero_point = rng.integers(-128, 128, channels)
    return pack_lanes(rng.integers(-largest, largest, channels), multiplier, shift, zero_point, low, high, rounding)


def case(op, rng, shape, rounding, uniform, with_table, by_channel=False):
    other = (*shape[:2], *[1] * (len(shape) - 2)) if by_channel else shape
    inputs = {"x": integers(rng, shape)} | ({} if op == "requantise" else {"z": integers(rng, other)})
    largest = {"requantise": 200, "add": 1 << 22, "mul": 1 << 14}[op]
    attrs = {"add": {"multipliers": (-12345, 23456)}, "mul": {"zero_points": (-7, 100)}, "requantise": {}}[op]
    constants = {"q": lanes(rng, shape[1], largest, rounding, uniform)} | ({"t": integers(rng, 256)} if with_table else {})
    return graph_of(op, inputs, attrs, constants), inputs


@pytest.mark.parametrize("op", ["add", "mul", "requantise"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_sums_equal_their_meaning(op, form):
    rng = np.random.default_rng(0)
    for rounding in range(ROUNDINGS):
        for uniform, with_table in ((True, False), (True, True), (False, False)):
            graph, inputs = case(op, rng, (1, 35, 6, 7), rounding, uniform, with_table)
            assert np.array_equal(run(graph, inputs, views_of(graph), form)[0], meaning(graph, inputs)[0])


@given(st.sampled_from(["add", "mul", "requantise"]), st.lists(st.integers(1, 20), min_size=2, max_size=4),
       st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 99))
def test_any_shape_in_any_layout(op, shape, choices, seed):
    rng = np.random.default_rng(seed)
    graph, inputs = case(op, rng, tuple(shape), seed % ROUNDINGS, *choices[:2], by_channel=choices[2])
    views = {name: (inside if image else outside)(graph, name) for name, image in zip((*inputs, "y0"), choices[3:])}
    assert np.array_equal(run(graph, inputs, views, parts=2)[0], meaning(graph, inputs)[0])


def test_requantisation_at_the_ends_of_its_range():
    """Every shift, the largest multipliers, sums that wrap."""
    rng = np.random.default_rng(1)
    for rounding in range(ROUNDINGS):
        shift = np.arange(48)
        multiplier = np.where(shift % 2, 2 ** 17 - 1, -2 ** 17)
        q = pack_lanes(rng.integers(-2 ** 31, 2 ** 31, 48), multiplier, shift, 3, -128, 127, rounding)
        inputs = {"x": integers(rng, (2, 48, 4, 4)), "z": integers(rng, (2, 48, 4, 4))}
        graph = graph_of("add", inputs, {"multipliers": (2 ** 17 - 1, -2 ** 17)}, {"q": q})
        for form in FORMS:
            assert np.array_equal(run(graph, inputs, views_of(graph), form)[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("op", ["max", "min", "lut"])
@pytest.mark.parametrize("layout", [inside, outside])
def test_others_equal_their_meaning(op, layout):
    rng = np.random.default_rng(2)
    for shape in ((2, 20, 3, 3), (3, 50)):
        inputs = {"x": integers(rng, shape)} | ({} if op == "lut" else {"z": integers(rng, shape)})
        graph = graph_of(op, inputs, {}, {"t": integers(rng, 256)} if op == "lut" else {})
        for form in FORMS:
            assert np.array_equal(run(graph, inputs, views_of(graph, layout), form)[0], meaning(graph, inputs)[0])


def test_channels_that_round_in_different_ways_are_refused():
    rng = np.random.default_rng(3)
    graph, _ = case("requantise", rng, (1, 3), np.arange(3), True, False)
    assert operators.why_not(graph.nodes[0], graph) == "its channels round in different ways"
