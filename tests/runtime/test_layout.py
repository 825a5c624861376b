import numpy as np
import pytest
from hypothesis import given, strategies as st

from weft.isa import PRESETS
from weft.isa.quantise import QNT_LANE
from weft.runtime.layout import activation_shape, pack_activation, pack_qnt, pack_weight, unpack_activation, weight_shape

CONFIGS = st.sampled_from(list(PRESETS.values()))
SIZES = st.integers(1, 5)


@given(CONFIGS, st.integers(1, 3), st.integers(1, 40), SIZES, SIZES, st.booleans())
def test_activation_by_definition(config, n, c, h, w, flat):
    x = np.random.default_rng(0).integers(-128, 128, (n, c) if flat else (n, c, h, w)).astype(np.int8)
    packed = pack_activation(x, config)
    assert packed.shape == activation_shape(x.shape, config)
    b, bo = config.batch, config.block_out
    four = x.reshape(n, c, *((1, 1) if flat else (h, w)))
    for i in np.ndindex(packed.shape):
        at = (i[0] * b + i[4], i[1] * bo + i[5], i[2], i[3])
        assert packed[i] == (four[at] if at[0] < n and at[1] < c else 0)
    assert np.array_equal(unpack_activation(packed, x.shape, config), x)


@given(CONFIGS, st.integers(1, 40), st.integers(1, 20), st.integers(1, 2))
def test_weight_by_definition(config, o, c, k):
    w = np.random.default_rng(1).integers(-128, 128, (o, c, k, k)).astype(np.int8)
    packed = pack_weight(w, config)
    assert packed.shape == weight_shape(w.shape, config)
    for i in np.ndindex(packed.shape):
        at = (i[0] * config.block_out + i[4], i[1] * config.block_in + i[5], i[2], i[3])
        assert packed[i] == (w[at] if at[0] < o and at[1] < c else 0)


def test_qnt_is_filled_up():
    lanes = np.zeros(19, QNT_LANE)
    lanes["bias"] = np.arange(19)
    assert pack_qnt(lanes, PRESETS["default"])["bias"].tolist() == [list(range(16)), [16, 17, 18] + [0] * 13]


def test_other_ranks_are_not_blocked():
    with pytest.raises(ValueError, match="2 or 4 axes, not shape"):
        pack_activation(np.zeros((1, 2, 3), np.int8), PRESETS["default"])
