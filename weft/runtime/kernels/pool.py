"""Pooling: `max_pool` and `avg_pool` on int8, ONNX's on real numbers. Layout NCHW."""

import numpy as np

from .conv import windows
from .quantise import apply_lanes
from .registry import kernel
from .windows import pool_pads


@kernel("max_pool")
def max_pool(attrs, x):
    """x int8 -> int8, the largest of each window; padding never wins.

    attrs: kernel, strides, pads (top, left, bottom, right), optional dilations, minimum and maximum to clamp to.
    """
    y = windows(x, attrs["kernel"], attrs["strides"], attrs["pads"], attrs.get("dilations", (1, 1)), -128).max((4, 5))
    return (np.clip(y, attrs.get("minimum", -128), attrs.get("maximum", 127)).astype(np.int8),)


@kernel("avg_pool")
def avg_pool(attrs, x, qnt):
    """x int8, qnt [C] -> int8: requantised sum of each window. attrs: kernel, strides, pads, pad_value."""
    view = windows(x, attrs["kernel"], attrs["strides"], attrs["pads"], (1, 1), attrs["pad_value"])
    return (apply_lanes(view.sum((4, 5), dtype=np.int32), qnt),)


def _onnx_windows(attrs: dict, x: np.ndarray, fill, fill_extra) -> np.ndarray:
    """fill: what padding holds; fill_extra: what is beyond the padding, where ceil_mode makes windows reach so far."""
    (top, left, bottom, right), (rows, columns) = pool_pads(attrs, x.shape[2:], attrs["kernel_shape"])
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    return windows(x, attrs["kernel_shape"], attrs.get("strides", (1, 1)), (0, 0, rows, columns),
                   attrs.get("dilations", (1, 1)), fill_extra)


@kernel("MaxPool")
def onnx_max_pool(attrs, x):
    """ONNX MaxPool of two spatial axes, without indices."""
    return (_onnx_windows(attrs, x, -np.inf, -np.inf).max((4, 5)),)


@kernel("AveragePool")
def onnx_average_pool(attrs, x):
    """ONNX AveragePool of two spatial axes; count_include_pad as there."""
    total = _onnx_windows(attrs, x, 0, 0).sum((4, 5))
    counted = _onnx_windows(attrs, np.ones_like(x[:1, :1]), attrs.get("count_include_pad", 0), 0).sum((4, 5))
    return ((total / counted).astype(x.dtype),)


@kernel("GlobalAveragePool")
def global_average_pool(attrs, x):
    return (x.mean(axis=tuple(range(2, x.ndim)), keepdims=True, dtype=np.float64).astype(x.dtype),)


@kernel("ReduceMean")
def reduce_mean(attrs, x, axes=None):
    """attrs: axes (or the second input), keepdims."""
    axes = attrs.get("axes") if axes is None else axes
    axes = None if axes is None else tuple(int(a) for a in axes)
    return (x.mean(axis=axes, keepdims=bool(attrs.get("keepdims", 1)), dtype=np.float64).astype(x.dtype),)
