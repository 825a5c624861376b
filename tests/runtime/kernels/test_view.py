import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.runtime import kernels
from weft.runtime.kernels.view import rearrange

STEPS = (("flip",), ("transpose", (0, 3, 1, 2)), ("reshape", (2, 15, 2)))


def test_steps_in_turn():
    x = np.arange(60, dtype=np.uint8).reshape(2, 3, 2, 5) * 4
    (y,) = kernels.run("view", {"steps": STEPS}, x)
    assert y.dtype == np.int8 and y.flags.c_contiguous
    assert np.array_equal(y, (x.astype(int) - 128).transpose(0, 3, 1, 2).reshape(2, 15, 2))


@given(st.permutations(range(4)))
def test_transposes_do_not_copy(perm):
    x = np.zeros((2, 3, 4, 5), np.int8)
    assert np.shares_memory(rearrange(x, (("transpose", tuple(perm)),)), x)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_a_flip_keeps_real_numbers_and_undoes_itself(dtype):
    info = np.iinfo(dtype)
    x = np.arange(info.min, info.max + 1).astype(dtype)
    other = rearrange(x, (("flip",),))
    assert other.dtype != dtype and np.array_equal(other.astype(int) - np.iinfo(other.dtype).min, x.astype(int) - info.min)
    assert np.array_equal(rearrange(other, (("flip",),)), x)
