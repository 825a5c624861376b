"""Weights as symmetric int8 with a scale an output channel, and biases as int32 at the scale of the sums."""

from dataclasses import dataclass

import numpy as np

LARGEST = 127  # -128 is left out, so that the grid is symmetric
LARGEST_BIAS = 1 << 30  # leaves room beside it for the sum of 2**16 products


@dataclass
class Weights:
    """stored int8 [O, ...]; scale float32 [O]; bias int32 [O] at bias_scale float32 [O] = source scale * scale."""

    stored: np.ndarray
    scale: np.ndarray
    source_scale: float
    bias: np.ndarray

    @property
    def bias_scale(self) -> np.ndarray:
        return (self.scale * np.float32(self.source_scale)).astype(np.float32)

    @property
    def real(self) -> np.ndarray:
        return self.stored.astype(np.float32) * self.scale.reshape((-1,) + (1,) * (self.stored.ndim - 1))

    @property
    def real_bias(self) -> np.ndarray:
        return self.bias.astype(np.float32) * self.bias_scale

    def set_bias(self, bias: np.ndarray) -> None:
        """bias: real numbers [O]. What int32 cannot hold is clipped."""
        steps = np.rint(bias.astype(np.float64) / self.bias_scale)
        self.bias = np.clip(steps, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)


def quantise_weights(weight: np.ndarray, bias: np.ndarray, source_scale: float) -> Weights:
    """weight float32 [O, ...], bias float32 [O]; source_scale is that of the operator's input.

    A channel's scale is its largest magnitude / 127, but never so fine that its bias would not fit.
    """
    flat = np.abs(weight.reshape(len(weight), -1)).astype(np.float64)
    least = 2 * np.abs(bias.astype(np.float64)) / source_scale / LARGEST_BIAS
    scale = np.maximum(flat.max(1) / LARGEST, least)
    tiny = float(np.finfo(np.float32).tiny) / min(source_scale, 1.0)
    scale = np.where(scale < tiny, 1.0, scale).astype(np.float32)  # nothing but zeros
    steps = np.rint(weight / scale.reshape((-1,) + (1,) * (weight.ndim - 1)))
    stored = np.clip(steps, -LARGEST, LARGEST).astype(np.int8)
    weights = Weights(stored, scale, source_scale, np.zeros(len(weight), np.int32))
    weights.set_bias(bias)
    return weights
