"""Weights as symmetric int8 with a scale an output channel, and biases as int32 at the scale of the sums."""

from dataclasses import dataclass

import numpy as np

LARGEST = 127  # -128 is left out, so that the grid is symmetric
LARGEST_BIAS = 1 << 30  # leaves room beside it for the sum of 2**16 products


@dataclass
class Weights:
    """stored int8, output channels along `axis`; scale float32 [O]; bias int32 [O] at bias_scale float32 [O], which is
    source scale * scale."""

    stored: np.ndarray
    scale: np.ndarray
    source_scale: float
    bias: np.ndarray
    axis: int = 0

    @property
    def bias_scale(self) -> np.ndarray:
        return (self.scale * np.float32(self.source_scale)).astype(np.float32)

    @property
    def real(self) -> np.ndarray:
        return self.stored.astype(np.float32) * along(self.scale, self.axis, self.stored.ndim)

    @property
    def real_bias(self) -> np.ndarray:
        return self.bias.astype(np.float32) * self.bias_scale

    def set_bias(self, bias: np.ndarray) -> None:
        """bias: real numbers [O]. What int32 cannot hold is clipped."""
        steps = np.rint(bias.astype(np.float64) / self.bias_scale)
        self.bias = np.clip(steps, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)


def along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """values [O] in the shape that broadcasts along one axis of so many."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def quantise_weights(weight: np.ndarray, bias: np.ndarray, source_scale: float, axis: int = 0) -> Weights:
    """weight float32 with output channels along `axis`, bias float32 [O]; source_scale is that of the operator's input.

    A channel's scale is its largest magnitude / 127, but never so fine that its bias would not fit.
    """
    largest = np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != axis)).astype(np.float64)
    least = 2 * np.abs(bias.astype(np.float64)) / source_scale / LARGEST_BIAS
    scale = np.maximum(largest / LARGEST, least)
    tiny = float(np.finfo(np.float32).tiny) / min(source_scale, 1.0)
    scale = np.where(scale < tiny, 1.0, scale).astype(np.float32)  # nothing but zeros
    steps = np.rint(weight / along(scale, axis, weight.ndim))
    stored = np.clip(steps, -LARGEST, LARGEST).astype(np.int8)
    weights = Weights(stored, scale, source_scale, np.zeros(len(scale), np.int32), axis)
    weights.set_bias(bias)
    return weights
