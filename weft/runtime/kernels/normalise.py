"""Normalisations on real numbers: `Softmax`, `BatchNormalization`, `LayerNormalization`."""

import numpy as np

from .registry import kernel


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
