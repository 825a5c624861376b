"""Normalisations: `softmax` on stored integers; on real numbers `Softmax`, `BatchNormalization`, `LayerNormalization`."""

import numpy as np

from .quantise import clip_to, round_ties
from .registry import kernel

UNIT = 1 << 24  # what tables of exponentials have for exp(0)


def exponentials(scale: float) -> np.ndarray:
    """int32 [256]: entry d is exp(-scale * d) in units of 1 / UNIT, for int8 values that lie d below the largest."""
    return np.rint(UNIT * np.exp(-np.float64(scale) * np.arange(256))).astype(np.int32)


@kernel("softmax")
def stored_softmax(attrs, x, table):
    """x int8, table int32 [256] as `exponentials` of x's scale -> attrs["dtype"]: each value's share along attrs["axis"].

    A share is a quotient of whole numbers, stored as clip(round(share / scale) + zero_point). attrs: axis, and scale,
    zero_point, dtype, rounding of the output.
    """
    axis = attrs["axis"]
    weights = table[x.max(axis=axis, keepdims=True).astype(np.int16) - x].astype(np.int64)
    shares = weights / (weights.sum(axis=axis, keepdims=True) * np.float64(attrs["scale"]))
    return (clip_to(attrs["dtype"], round_ties(shares, attrs["rounding"]) + attrs["zero_point"]),)


@kernel("Softmax")
def softmax(attrs, x):
    """ONNX Softmax along attrs["axis"]."""
    axis = attrs.get("axis", -1)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return ((e / e.sum(axis=axis, keepdims=True)).astype(x.dtype),)


@kernel("BatchNormalization")
def batch_normalization(attrs, x, scale, bias, mean, variance):
    """ONNX BatchNormalization for inference: along axis 1."""
    shape = (-1,) + (1,) * (x.ndim - 2)
    factor = scale / np.sqrt(variance + attrs.get("epsilon", 1e-5))
    return ((x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)).astype(x.dtype),)


@kernel("LayerNormalization")
def layer_normalization(attrs, x, scale, bias=None):
    """ONNX LayerNormalization, first output: over the axes from attrs["axis"]."""
    axes = tuple(range(attrs.get("axis", -1) % x.ndim, x.ndim))
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axes, keepdims=True)
    y = centred / np.sqrt((centred ** 2).mean(axes, keepdims=True) + attrs.get("epsilon", 1e-5)) * scale
    return ((y if bias is None else y + bias).astype(x.dtype),)
