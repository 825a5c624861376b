"""Scales as integers: near enough, within their bits, and safe where they do not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.graph import TensorType
from weft.compiler.graph_passes.lanes import (
    LanesError,
    activation_range,
    add_multipliers,
    product_lanes,
    scale_lanes,
    stored_average_lanes,
)
from weft.isa.quantise import quantise_multiplier, requantise, unpack_lanes

SCALES = st.floats(1e-4, 10)
X, Y = TensorType((1, 4), "int8", 0.05, 7), TensorType((1, 3), "int8", 0.1, -5)


@given(SCALES, SCALES, SCALES)
def test_add_multipliers(a, b, out):
    (ma, mb), unit = add_multipliers(a, b, out)
    assert 0 <= ma <= 32767 and 0 <= mb <= 32767 and max(ma, mb) > 16383
    # wrong by at most a thousandth of the larger scale's least bit over the whole range of 255 steps
    assert abs(ma * unit - a) * 255 < max(a, b) / 100 and abs(mb * unit - b) * 255 < max(a, b) / 100


@given(SCALES, st.integers(-4, 4), st.integers(1, 15))
def test_sums_of_scales_whose_ratios_are_short_are_exact(a, power, times):
    """Ties are decided by the rule, not by a multiplier that is a little too large."""
    b, out = a * times / 16, a * 2.0 ** power
    (ma, mb), unit = add_multipliers(a, b, out)
    multiplier, shift = quantise_multiplier(unit / out)
    assert ma * int(multiplier) * 2.0 ** power == 2.0 ** int(shift) and mb * 16 == ma * times


@given(st.integers(0, 2 ** 32), st.floats(-1, 1))
def test_product_lanes_against_real_numbers(seed, bias):
    rng = np.random.default_rng(seed)
    weight, x = rng.integers(-127, 128, (3, 4)).astype(np.int8), rng.integers(-128, 128, 4)
    scales = rng.uniform(1e-3, 1e-2, 3)
    step = X.scale * scales
    same, lanes = product_lanes(weight, step, np.full(3, bias) / step, X, Y, {}, "half_even")
    assert same is weight
    actual = requantise(weight.astype(np.int32) @ x, **unpack_lanes(lanes))
    real = (weight * scales[:, None]) @ ((x - 7) * 0.05) + bias
    assert np.abs(actual - np.clip(real / 0.1 - 5, -128, 127)).max() <= 0.5 + 0.01 + 0.5 * max(step / 0.1)


def test_a_bias_beyond_int32_makes_the_channel_coarser():
    weight = np.full((1, 4), 100, np.int8)
    step = np.array([1e-11])  # so fine that the bias of 3.0 is 3e11 steps
    changed, lanes = product_lanes(weight, step, np.array([3.0]) / step, X, Y, {}, "half_even")
    assert abs(int(lanes["bias"][0])) < 1 << 31 and changed is not weight
    acc = changed.astype(np.int32) @ np.full(4, 100)
    assert requantise(acc, **unpack_lanes(lanes)).tolist() == [25]  # 3.0 / 0.1 - 5


def test_refuses_a_scale_beyond_the_multiplier():
    with pytest.raises(LanesError, match=r"its output's scale is 1\.5e\+05 times finer than its sums'"):
        scale_lanes(2, 1.5e5, 0, Y, {}, "half_even")


def test_activation_range():
    assert activation_range(Y, {}) == (-128, 127)
    assert activation_range(Y, {"minimum": 0.0}) == (-5, 127)
    assert activation_range(Y, {"minimum": 0.0, "maximum": 6.0}) == (-5, 55)
    assert activation_range(Y, {"minimum": -100.0, "maximum": 100.0}) == (-128, 127)


@pytest.mark.parametrize("origin", [0, -128])
@pytest.mark.parametrize("count", [2, 3, 6, 7, 9, 25, 36, 49, 64])
def test_averages_of_stored_values_round_as_tflite(count, origin):
    lanes = stored_average_lanes(1, count, "half_away", origin)
    sums = np.arange(-128 * count, 127 * count + 1, dtype=np.int32)
    theirs = sums - origin * count  # of the numbers that the file has
    expected = np.where(theirs > 0, theirs + count // 2, theirs - count // 2) / count
    actual = requantise(sums, **{k: v[0] for k, v in unpack_lanes(lanes).items()})
    np.testing.assert_array_equal(actual - origin, np.trunc(expected))
