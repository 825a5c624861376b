import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.runtime import kernels
from weft.runtime.kernels.normalise import UNIT, exponentials

ATTRS = {"axis": 1, "scale": 1 / 256, "zero_point": -128, "dtype": "int8", "rounding": "half_away"}


def softmax(x, scale, **attrs):
    return kernels.run("softmax", ATTRS | attrs, x, exponentials(scale))[0]


@given(st.integers(0, 1000), st.integers(1, 50), st.floats(1e-3, 2))
def test_by_definition(seed, count, scale):
    x = np.random.default_rng(seed).integers(-128, 128, (2, count)).astype(np.int8)
    table = exponentials(scale)
    for row, found in zip(x, softmax(x, scale), strict=True):
        weights = [int(table[int(row.max()) - int(v)]) for v in row]
        shares = [Fraction(w, sum(weights)) * 256 for w in weights]
        assert found.tolist() == [min(math.floor(s + Fraction(1, 2)) - 128, 127) for s in shares]


@given(st.integers(0, 1000), st.floats(1e-3, 2))
def test_near_real_numbers(seed, scale):
    x = np.random.default_rng(seed).integers(-128, 128, (1, 30)).astype(np.int8)
    real = kernels.run("Softmax", {"axis": 1}, x * np.float64(scale))[0]
    assert np.abs(softmax(x, scale).astype(int) + 128 - np.minimum(real * 256, 255)).max() <= 0.5 + 256 * 30 / UNIT


@pytest.mark.parametrize("axis", [0, -1, 2])
def test_any_axis_and_unsigned_alike(axis):
    x = np.random.default_rng(1).integers(-128, 128, (3, 4, 5)).astype(np.int8)
    y = softmax(x, 0.05, axis=axis)
    moved = softmax(np.moveaxis(x, axis, 1), 0.05, axis=1)
    assert np.array_equal(np.moveaxis(y, axis, 1), moved)
    assert np.array_equal(softmax(x, 0.05, axis=axis, dtype="uint8", zero_point=0).astype(int) - 128, y)


def test_exponentials_fall_from_one_to_nothing():
    table = exponentials(0.1)
    assert table.dtype == np.int32 and table[0] == UNIT and table[10] == round(UNIT / math.e)
    assert exponentials(1.0)[255] == 0
