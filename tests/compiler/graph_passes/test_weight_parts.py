"""Weights of more than eight bits as sums of int8 weights."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.graph_passes.weight_parts import split
from weft.runtime.kernels.windows import whole_weights


@given(st.sampled_from([(4, 3), (4, 3, 1, 1), (2, 3, 3, 2)]), st.integers(-400, 0), st.integers(0, 400), st.integers(0, 99))
def test_parts_add_up_to_the_weights(shape, low, high, seed):
    weight = np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.int16)
    stored, parts = split(weight)
    assert stored.dtype == np.int8
    np.testing.assert_array_equal(whole_weights({"parts": parts}, stored).reshape(shape), weight)
    if weight.min() >= -128 and weight.max() <= 127:
        assert parts == 1 and stored.shape == shape
    else:
        rows = shape[2] if len(shape) > 2 else 1
        assert stored.shape[:3] == (*shape[:2], parts * rows)
        assert (parts - 1) * 127 < np.abs(weight).max() <= parts * 128
