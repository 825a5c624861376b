"""Weights and biases: symmetric, a scale a channel, within half a step, biases that fit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.quantizer.weights import LARGEST_BIAS, quantise_weights


@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 10.0))
def test_within_half_a_step(seed, source_scale):
    rng = np.random.default_rng(seed)
    weight = (rng.normal(size=(6, 3, 2, 2)) * np.exp(rng.normal(size=(6, 1, 1, 1)))).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    made = quantise_weights(weight, bias, source_scale)
    assert made.stored.dtype == np.int8 and made.bias.dtype == np.int32 and made.stored.min() >= -127
    assert (np.abs(made.stored).reshape(6, -1).max(1) == 127).all()
    assert (np.abs(made.real - weight) <= made.scale.reshape(-1, 1, 1, 1) * 0.5001).all()
    assert (np.abs(made.real_bias - bias) <= made.bias_scale * 0.501 + np.abs(bias) * 1e-6).all()


def test_channels_of_zeros_and_biases_far_above_their_weights():
    weight = np.zeros((3, 4), np.float32)
    weight[1], weight[2] = 1e-12, 1.0
    made = quantise_weights(weight, np.array([5.0, 5.0, 0.0], np.float32), 1e-3)
    assert (np.abs(made.bias) <= LARGEST_BIAS).all() and np.isfinite(made.scale).all() and (made.scale > 0).all()
    assert np.allclose(made.real_bias, [5, 5, 0], rtol=1e-6) and np.array_equal(made.stored[0], [0] * 4)
    assert np.allclose(made.real[2], 1)
    nothing = quantise_weights(np.zeros((2, 4), np.float32), np.zeros(2, np.float32), 1e-3)
    assert not nothing.stored.any() and not nothing.bias.any() and (nothing.scale > 0).all()
