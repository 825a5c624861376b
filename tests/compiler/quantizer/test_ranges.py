"""Scales, zero points and ranges against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.quantizer.ranges import BINS, Histogram, Quantisation, check_method, from_range
from weft.isa import WeftError
from weft.runtime import kernels

ends = st.floats(-1e6, 1e6, width=32).filter(lambda v: v == 0 or abs(v) > 1e-6)


@given(ends, ends)
def test_a_range_is_covered_to_half_a_step_and_zero_is_exact(a, b):
    low, high = min(a, b), max(a, b)
    q = from_range(low, high)
    assert q.scale > 0 and -128 <= q.zero_point <= 127 and q.scale == np.float32(q.scale)
    assert q.nearest(np.zeros(1, np.float32))[0] == 0
    if (low, high) != (0, 0):
        assert abs(q.low - min(low, 0)) <= q.scale * 0.51 and abs(q.high - max(high, 0)) <= q.scale * 0.51
        assert q.scale == pytest.approx((max(high, 0) - min(low, 0)) / 255, rel=1e-6)


@given(ends, ends, st.integers(0, 2**32 - 1))
def test_values_agree_with_the_kernels(a, b, seed):
    q = from_range(min(a, b), max(a, b))
    x = np.random.default_rng(seed).uniform(1.5 * q.low, 1.5 * q.high, 100).astype(np.float32)
    attrs = {"scale": q.scale, "zero_point": q.zero_point, "dtype": "int8", "rounding": "half_even"}
    (stored,) = kernels.run("quantize", attrs, x)
    assert np.array_equal(q.stored(x), stored)
    assert np.array_equal(q.nearest(x), kernels.run("dequantize", attrs, stored)[0])
    inside = (x >= q.low) & (x <= q.high)
    assert (np.abs(q.nearest(x) - x)[inside] <= q.scale * 0.5001).all()


def test_nothing_but_zeros():
    assert from_range(0.0, 0.0) == Quantisation(1.0, 0)
    h = Histogram(0.0, 0.0)
    h.add(np.zeros(3, np.float32))
    assert h.percentiles(99) == (0.0, 0.0) and h.least_error() == (0.0, 0.0)


def histogram(x):
    h = Histogram(float(x.min()), float(x.max()))
    for part in np.array_split(x, 3):
        h.add(part)
    return h


@given(st.integers(0, 2**32 - 1), st.floats(51, 100))
def test_percentiles_to_within_a_bin(seed, percentile):
    x = np.random.default_rng(seed).standard_t(3, 5000).astype(np.float32)
    h = histogram(x)
    bin_size = (h.high - h.low) / BINS
    low, high = h.percentiles(percentile)
    assert np.mean(x > high) <= 1 - percentile / 100 + 1e-9 <= np.mean(x > high - 2 * bin_size) + 1e-3
    assert np.mean(x < low) <= 1 - percentile / 100 + 1e-9 <= np.mean(x < low + 2 * bin_size) + 1e-3


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_least_error_beats_the_extremes_where_tails_are_long(seed, positive):
    x = np.random.default_rng(seed).standard_t(2, 5000).astype(np.float32)
    x = np.maximum(x, 0) if positive else x
    h = histogram(x)
    best, all_of_it = from_range(*h.least_error()), from_range(h.low, h.high)

    def error(q):
        return float(((q.nearest(x) - x).astype(np.float64) ** 2).mean())

    assert error(best) <= error(all_of_it) * 1.001
    assert h.squared_error(all_of_it) == pytest.approx(error(all_of_it), rel=0.3)
    assert not positive or best.low == 0


@pytest.mark.parametrize("method, percentile, message", [
    ("kl", 99.99, "ranges 'kl': they are found by minmax, percentile, mse, but found 'kl'; try: one of these names"),
    ("percentile", 50, "percentile: it must be above 50 and at most 100, but found 50; try: 99.99"),
    ("percentile", 100.5, "percentile: it must be above 50 and at most 100, but found 100.5; try: 99.99"),
    ("percentile", float("nan"), "percentile: it must be above 50 and at most 100, but found nan; try: 99.99"),
])
def test_refused_methods(method, percentile, message):
    with pytest.raises(WeftError) as error:
        check_method(method, percentile)
    assert str(error.value) == message
