"""Between real and stored numbers on CPUs: equal to NumPy's, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from tests.compiler.cpu.harness import (
    FORMS, channels_last, graph_of, inside, integers, meaning, outside, reals, run, views_of)
from weft.compiler.cpu import operators

LAYOUTS = [inside, outside]


@pytest.mark.parametrize("dtype, zero_point", [("int8", -3), ("uint8", 128)])
@pytest.mark.parametrize("rounding", ["half_even", "half_away"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_quantise(dtype, zero_point, rounding, form):
    rng = np.random.default_rng(0)
    for shape, axis in (((1, 3, 20, 20), None), ((1, 20, 9, 9), 1), ((5, 99), 0)):
        scale = 0.25 if axis is None else tuple(rng.uniform(0.01, 0.1, shape[axis]).tolist())
        point = zero_point if axis is None else (zero_point,) * shape[axis]
        inputs = {"x": np.round(reals(rng, shape) * 32) / np.float32(16)}  # many ties
        attrs = {"scale": scale, "zero_point": point, "dtype": dtype, "rounding": rounding, "axis": axis}
        graph = graph_of("quantize", inputs, attrs)
        for layout in LAYOUTS:
            assert np.array_equal(run(graph, inputs, views_of(graph, layout), form)[0], meaning(graph, inputs)[0])


@given(nst.arrays(np.float32, 64, elements=st.floats(width=32, allow_nan=False)), st.floats(2.0 ** -20, 2.0 ** 20, width=32),
       st.sampled_from(["half_even", "half_away"]), st.integers(-128, 127))
def test_any_number_is_quantised(x, scale, rounding, zero_point):
    graph = graph_of("quantize", {"x": x}, {"scale": scale, "zero_point": zero_point, "dtype": "int8", "rounding": rounding})
    assert np.array_equal(run(graph, {"x": x}, views_of(graph))[0], meaning(graph, {"x": x})[0])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_dequantise(dtype, axis, form):
    rng = np.random.default_rng(1)
    inputs = {"x": integers(rng, (2, 20, 5, 5), dtype)}
    attrs = {"scale": 0.0123, "zero_point": 5} if axis is None else {
        "scale": tuple(rng.uniform(0.01, 0.1, 20).tolist()), "zero_point": tuple(rng.integers(0, 100, 20).tolist()),
        "axis": axis}
    graph = graph_of("dequantize", inputs, attrs)
    for layout in LAYOUTS:
        assert np.array_equal(run(graph, inputs, views_of(graph, layout), form)[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("op, dtype", [("uint8_to_int8", "uint8"), ("int8_to_uint8", "int8")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_change_their_sign(op, dtype, layout):
    inputs = {"x": np.arange(256).astype(dtype).reshape(2, 8, 4, 4)}
    graph = graph_of(op, inputs, {})
    assert np.array_equal(run(graph, inputs, views_of(graph, layout))[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("source", ["int8", "uint8", "int32", "float32"])
@pytest.mark.parametrize("target", ["int32", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_casts(source, target, layout):
    rng = np.random.default_rng(3)
    inputs = {"x": reals(rng, (2, 20, 3, 3), 50) if source == "float32" else integers(rng, (2, 20, 3, 3), source)}
    graph = graph_of("Cast", inputs, {"to": target})
    assert np.array_equal(run(graph, inputs, views_of(graph, layout))[0], meaning(graph, inputs)[0])


def test_what_is_refused():
    x = reals(np.random.default_rng(2), (3,))
    graph = graph_of("quantize", {"x": x}, {"scale": 1.0, "zero_point": 0, "dtype": "int16"})
    assert operators.why_not(graph.nodes[0], graph) == "the CPU quantises float32 to int8 and uint8, not float32 to int16"
    graph = graph_of("dequantize", {"x": np.ones(3, np.int32)}, {"scale": 1.0, "zero_point": 0})
    assert operators.why_not(graph.nodes[0], graph) == "the CPU dequantises int8 and uint8, not int32"
    graph = graph_of("Cast", {"x": np.ones(3, np.int64)}, {"to": "float32"})
    assert operators.why_not(graph.nodes[0], graph) == \
        "the CPU casts bytes, int32 and float32 to int32 and float32, not int64 to float32"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_pixels_of_few_channels(channels, form):
    """From the caller's order of channels to pixels of four bytes, with rows and columns around them."""
    for shape in ((2, channels, 5, 32), (1, channels, 3, 7)):
        x = reals(np.random.default_rng(5), shape, 50)
        scale = tuple(np.linspace(0.1, 0.5, channels).tolist())
        attrs = {"scale": scale, "zero_point": (3,) * channels, "dtype": "int8", "axis": 1}
        graph = graph_of("quantize", {"x": x}, attrs)
        views = {"x": outside(graph, "x"), "y0": channels_last("uint8", shape, (1, 2, 3, 1))}
        assert np.array_equal(run(graph, {"x": x}, views, form, 2, {"y0": 7})[0], meaning(graph, {"x": x})[0])
