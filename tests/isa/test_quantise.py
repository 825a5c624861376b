from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from weft.isa.quantise import (HALF_AWAY, HALF_EVEN, HALF_UP, MAX_SHIFT, pack_lanes, quantise_multiplier, requantise, unpack_lanes)


def exactly(acc, bias, multiplier, shift, zero_point, minimum, maximum, rounding):
    """The definition in exact fractions."""
    total = (acc + bias + (1 << 31)) % (1 << 32) - (1 << 31)
    value = Fraction(total * multiplier, 1 << shift)
    floor = value.numerator // value.denominator
    if value - floor == Fraction(1, 2):
        up = {HALF_UP: True, HALF_EVEN: floor % 2 == 1, HALF_AWAY: value > 0}[rounding]
    else:
        up = value - floor > Fraction(1, 2)
    return min(max(floor + up + zero_point, minimum), maximum)


INT8, INT32 = st.integers(-128, 127), st.integers(-(1 << 31), (1 << 31) - 1)
TIES = st.integers(-64, 64).map(lambda k: k << 3)


@given(st.one_of(INT32, TIES), st.one_of(INT32, st.just(0)), st.one_of(st.integers(-(1 << 17), (1 << 17) - 1), st.sampled_from([1, 2, -4])),
       st.integers(0, MAX_SHIFT), INT8, INT8, INT8, st.sampled_from([HALF_UP, HALF_EVEN, HALF_AWAY]))
def test_requantise_is_the_rounded_quotient(acc, bias, multiplier, shift, zero_point, minimum, maximum, rounding):
    minimum, maximum = sorted((minimum, maximum))
    arguments = (bias, multiplier, shift, zero_point, minimum, maximum, rounding)
    assert int(requantise(acc, *arguments)) == exactly(acc, *arguments)


@pytest.mark.parametrize("rounding, expected", [(HALF_UP, [-2, -1, 0, 1, 2, 3]), (HALF_EVEN, [-2, -2, 0, 0, 2, 2]), (HALF_AWAY, [-3, -2, -1, 1, 2, 3])])
def test_ties(rounding, expected):
    assert requantise(np.array([-5, -3, -1, 1, 3, 5]), 0, 1, 1, 0, -128, 127, rounding).tolist() == expected


@given(st.floats(1e-8, 1e5))
def test_multiplier_is_near(scale):
    multiplier, shift = quantise_multiplier(scale)
    assert abs(float(multiplier) / 2.0 ** float(shift) - scale) <= scale * 2**-17 + 2.0 ** -(MAX_SHIFT + 1)


def test_scales_that_have_no_multiplier():
    for scale in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="finite and not negative"):
            quantise_multiplier(scale)
    with pytest.raises(ValueError, match="below 131072"):
        quantise_multiplier(1e9)


def test_lanes_round_trip():
    values = dict(bias=[-5, 1 << 30], multiplier=[-(1 << 16), 99], shift=[3, 47], zero_point=[-128, 127], minimum=[-128, 0], maximum=[5, 127], rounding=[0, 2])
    lanes = pack_lanes(**{k: np.array(v) for k, v in values.items()})
    assert lanes.tobytes().hex() == "fbffffff0000ffff03808005" + "00000000" + "00000040" + "63000000" + "af7f007f" + "00000000"
    assert {k: v.tolist() for k, v in unpack_lanes(lanes).items()} == values
