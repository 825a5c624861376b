"""Arithmetic that convolution and pooling share: padding rules, and which float holds integer sums exactly."""

import numpy as np


def exact_float(products: int) -> np.dtype:
    """The float whose matrix product of that many int8 pairs is exact: each is at most 2**14, a float32 holds 2**24."""
    return np.dtype(np.float32 if products << 14 <= 1 << 24 else np.float64)


def whole_weights(attrs: dict, w: np.ndarray) -> np.ndarray:
    """The weights themselves, or the sum int32 of attrs["parts"] int8 weights that lie one below the other along axis 2."""
    parts = attrs.get("parts", 1)
    if parts == 1:
        return w
    o, c, rows, *columns = w.shape
    return w.reshape(o, c, parts, rows // parts, *columns).sum(2, dtype=np.int32)


def resolve_pads(attrs: dict, size, kernel_shape) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) from ONNX's pads or auto_pad, for an input of size (H, W)."""
    mode = attrs.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return tuple(attrs.get("pads", (0, 0, 0, 0)))
    if mode == "VALID":
        return 0, 0, 0, 0
    strides, dilations = attrs.get("strides", (1, 1)), attrs.get("dilations", (1, 1))
    before, after = [], []
    for n, k, s, d in zip(size, kernel_shape, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return (*before, *after)


def pool_pads(attrs: dict, size, kernel_shape) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """(pads, extra) of ONNX's pools for an input of size (H, W): rows and columns that ceil_mode adds below and on the right.

    extra is not in pads. A window that would begin beyond the padded input is none.
    """
    pads = resolve_pads(attrs, size, kernel_shape)
    if not attrs.get("ceil_mode", 0) or attrs.get("auto_pad", "NOTSET") != "NOTSET":
        return pads, (0, 0)
    strides, dilations = attrs.get("strides", (1, 1)), attrs.get("dilations", (1, 1))
    extra = []
    for n, k, s, d, before, after in zip(size, kernel_shape, strides, dilations, pads[:2], pads[2:], strict=True):
        span = n + before + after - (k - 1) * d - 1
        last = -(-span // s) * s  # where the last window begins
        last -= s if last >= n + before else 0
        extra.append(max(last - span, 0))
    return pads, tuple(extra)


def transposed_pads(attrs: dict, size, kernel_shape) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of ONNX's ConvTranspose: what the padding takes away of an output that is otherwise
    (size - 1) * stride + kernel. output_padding, which adds to it, is taken off the last two. kernel_shape: with dilation."""
    strides, mode = attrs.get("strides", (1, 1)), attrs.get("auto_pad", "NOTSET")
    more = attrs.get("output_padding", (0, 0))
    shape = attrs.get("output_shape", ())[-2:]
    if mode == "VALID" and not shape:
        return 0, 0, -more[0], -more[1]
    if mode == "NOTSET" and not shape:
        top, left, bottom, right = attrs.get("pads", (0, 0, 0, 0))
        return top, left, bottom - more[0], right - more[1]
    shape = shape or [n * s for n, s in zip(size, strides, strict=True)]
    before, after = [], []
    for n, s, k, extra, out in zip(size, strides, kernel_shape, more, shape, strict=True):
        total = (n - 1) * s + extra + k - out
        begin = max(total // 2 if mode == "SAME_UPPER" else total - total // 2, 0)
        before.append(begin)
        after.append((n - 1) * s + k - out - begin)
    return (*before, *after)
