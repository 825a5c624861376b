"""Convolutions: `conv2d` on int8 with requantisation lanes, `Conv` on real numbers. Layouts NCHW and OIHW."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..layout import gather
from .elementwise import add
from .quantise import apply_lanes
from .registry import kernel
from .windows import exact_float, resolve_pads, transposed_pads, whole_weights


def padded(x: np.ndarray, pads, pad_value) -> np.ndarray:
    """x [N, C, H, W] with pads (top, left, bottom, right) of pad_value around, or without what negative ones leave out."""
    top, left, bottom, right = pads
    around = [(max(a, 0), max(b, 0)) for a, b in ((top, bottom), (left, right))]
    x = np.pad(x, ((0, 0), (0, 0), *around), constant_values=pad_value)
    h, w = x.shape[2:]
    return x[:, :, max(-top, 0):h - max(-bottom, 0), max(-left, 0):w - max(-right, 0)]


def windows(x: np.ndarray, kernel_shape, strides, pads, dilations, pad_value) -> np.ndarray:
    """Views [N, C, OH, OW, KH, KW] of x [N, C, H, W], padded with pad_value by pads (top, left, bottom, right).

    A negative pad leaves so many rows or columns out.
    """
    if any(pads):
        x = padded(x, pads, pad_value)
    (kh, kw), (dh, dw), (sh, sw) = kernel_shape, dilations, strides
    spans = sliding_window_view(x, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), axis=(2, 3))
    return spans[:, :, ::sh, ::sw, ::dh, ::dw]


def convolve(x: np.ndarray, w: np.ndarray, strides, pads, dilations, groups: int, pad_value) -> np.ndarray:
    """Sums of products [N, O, OH, OW], in the dtype of x and w (floating point)."""
    o, cg, kh, kw = w.shape
    view = windows(x, (kh, kw), strides, pads, dilations, pad_value)
    n, _, oh, ow, _, _ = view.shape
    columns = view.reshape(n, groups, cg, oh, ow, kh, kw).transpose(0, 1, 2, 5, 6, 3, 4)
    columns = columns.reshape(n, groups, cg * kh * kw, oh * ow)
    return (w.reshape(groups, o // groups, cg * kh * kw) @ columns).reshape(n, o, oh, ow)


@kernel("conv2d")
def conv2d(attrs, x, w, qnt, table=None):
    """x int8 [N, C, H, W], w int8 [O, C/groups, KH, KW], qnt [O], optional table [256] -> int8 [N, O, OH, OW].

    attrs: strides, pads (top, left, bottom, right), dilations, groups, pad_value (what padding holds, as stored), optional
    gather: of weft.runtime.layout.gather(x), whose axes it gives; parts: the weights are the sum of that many, which lie one
    below the other, [O, C/groups, parts * KH, KW].
    """
    if "gather" in attrs:
        x = gather(x, attrs["gather"], attrs["pad_value"])
    real = exact_float(w[0].size)
    acc = convolve(x.astype(real), whole_weights(attrs, w).astype(real), attrs["strides"], attrs["pads"], attrs["dilations"],
                   attrs["groups"], attrs["pad_value"])
    return (apply_lanes(acc.astype(np.int64).astype(np.int32), qnt, table),)


@kernel("conv2d_add")
def conv2d_add(attrs, x, w, qnt, other, qnt_sum, table=None):
    """add(conv2d(x, w, qnt), other, qnt_sum, table); attrs: those of both. other int8 [N, O, OH, OW], qnt_sum [O]."""
    return add(attrs, *conv2d(attrs, x, w, qnt), other, qnt_sum, table)


@kernel("depthwise_conv2d")
def depthwise_conv2d(attrs, x, w, qnt, table=None):
    """x int8 [N, C, H, W], w int8 [C, 1, KH, KW], qnt [C], optional table [256] -> int8 [N, C, OH, OW].

    attrs: strides, pads, pad_value as of conv2d.
    """
    return conv2d(attrs | {"dilations": (1, 1), "groups": len(w)}, x, w, qnt, table)


@kernel("Conv")
def conv(attrs, x, w, bias=None):
    """ONNX Conv of two spatial axes. attrs: strides, pads, dilations, group, auto_pad, kernel_shape."""
    strides, dilations = tuple(attrs.get("strides", (1, 1))), tuple(attrs.get("dilations", (1, 1)))
    pads = resolve_pads(attrs, x.shape[2:], w.shape[2:])
    y = convolve(x, w, strides, pads, dilations, attrs.get("group", 1), 0)
    return (y if bias is None else (y + bias.reshape(-1, 1, 1)).astype(y.dtype),)


def as_convolution(w: np.ndarray, groups: int) -> np.ndarray:
    """Weights [C, O/groups, KH, KW] of a transposed convolution with the output channel first: [O, C/groups, KH, KW]."""
    c, each, *kernel = w.shape
    return w.reshape(groups, c // groups, each, *kernel).swapaxes(1, 2).reshape(groups * each, c // groups, *kernel)


def spread(w: np.ndarray, dilations: tuple[int, int]) -> np.ndarray:
    """Weights [..., KH, KW] with zeros between, so that they do without dilation what they did with it."""
    if dilations == (1, 1):
        return w
    *channels, kh, kw = w.shape
    wide = np.zeros((*channels, (kh - 1) * dilations[0] + 1, (kw - 1) * dilations[1] + 1), w.dtype)
    wide[..., ::dilations[0], ::dilations[1]] = w
    return wide


@kernel("ConvTranspose")
def conv_transpose(attrs, x, w, bias=None):
    """ONNX ConvTranspose of two spatial axes: x [N, C, H, W], w [C, O/group, KH, KW].

    attrs: strides, pads, dilations, group, auto_pad, kernel_shape, output_padding, output_shape.
    """
    (sh, sw), groups = attrs.get("strides", (1, 1)), attrs.get("group", 1)
    flipped = spread(as_convolution(w, groups), tuple(attrs.get("dilations", (1, 1))))[:, :, ::-1, ::-1]
    n, c, h, width = x.shape
    apart = np.zeros((n, c, (h - 1) * sh + 1, (width - 1) * sw + 1), x.dtype)
    apart[:, :, ::sh, ::sw] = x
    reach = [k - 1 for k in flipped.shape[2:]] * 2
    pads = [r - p for r, p in zip(reach, transposed_pads(attrs, (h, width), flipped.shape[2:]), strict=True)]
    y = convolve(apart, flipped, (1, 1), pads, (1, 1), groups, 0)
    return (y if bias is None else (y + bias.reshape(-1, 1, 1)).astype(y.dtype),)
