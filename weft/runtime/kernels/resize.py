"""`Resize` by nearest neighbours and by straight lines, and blocks of space that become channels and back.

What each output sees of an axis is worked out in fractions, so that a coordinate half way between two values is exactly that.
"""

import math
from fractions import Fraction

import numpy as np

from .registry import kernel

FINEST = 10_000  # scales are taken as fractions with denominators up to this

_COORDINATES = {  # of an output o, for a scale s, and sizes of input and output
    "half_pixel": lambda o, s, n, out: (o + Fraction(1, 2)) / s - Fraction(1, 2),
    "pytorch_half_pixel": lambda o, s, n, out: (o + Fraction(1, 2)) / s - Fraction(1, 2) if out > 1 else Fraction(0),
    "asymmetric": lambda o, s, n, out: o / s,
    "align_corners": lambda o, s, n, out: Fraction(o * (n - 1), out - 1) if out > 1 else Fraction(0),
}
_NEAREST = {"round_prefer_floor": lambda x: math.ceil(x - Fraction(1, 2)), "round_prefer_ceil": lambda x: math.floor(x + Fraction(1, 2)),
            "floor": math.floor, "ceil": math.ceil}


def ratios(shape: tuple[int, ...], scales=None, sizes=None) -> tuple[Fraction, ...]:
    """How many times as large each axis becomes."""
    if sizes is not None and len(sizes):
        return tuple(Fraction(int(out), n) for out, n in zip(sizes, shape, strict=True))
    return tuple(Fraction(float(s)).limit_denominator(FINEST) for s in scales)


def taps(attrs: dict, ratio: Fraction, size: int, out: int) -> list[dict[int, Fraction]]:
    """For each output of an axis of `size`, the values that it sees and their weights, which add up to 1."""
    coordinate = _COORDINATES[attrs.get("coordinate_transformation_mode", "half_pixel")]
    found = []
    for o in range(out):
        x = coordinate(o, ratio, size, out)
        if attrs.get("mode", "nearest") == "nearest":
            parts = [(_NEAREST[attrs.get("nearest_mode", "round_prefer_floor")](x), Fraction(1))]
        else:
            low = math.floor(x)
            parts = [(low, 1 - (x - low)), (low + 1, x - low)]
        seen: dict[int, Fraction] = {}
        for place, weight in parts:
            if weight:
                inside = min(max(place, 0), size - 1)
                seen[inside] = seen.get(inside, Fraction(0)) + weight
        found.append(seen)
    return found


@kernel("Resize")
def resize(attrs, x, roi=None, scales=None, sizes=None):
    """ONNX Resize, modes nearest and linear. attrs: mode, coordinate_transformation_mode, nearest_mode; scales or sizes, which may be
    attributes too, with one number for each axis."""
    scales = scales if np.size(scales) and scales is not None else attrs.get("scales")
    sizes = sizes if np.size(sizes) and sizes is not None else attrs.get("sizes")
    y = x.astype(np.float64)
    for axis, ratio in enumerate(ratios(x.shape, scales, sizes)):
        out = math.floor(x.shape[axis] * ratio)
        if (ratio, out) == (1, x.shape[axis]):
            continue
        matrix = np.zeros((out, x.shape[axis]))
        for o, seen in enumerate(taps(attrs, ratio, x.shape[axis], out)):
            for place, weight in seen.items():
                matrix[o, place] = float(weight)
        y = np.moveaxis(np.tensordot(matrix, y, (1, axis)), 0, axis)
    return (y.astype(x.dtype),)


@kernel("DepthToSpace")
def depth_to_space(attrs, x):
    """attrs: blocksize, mode (DCR or CRD: whether blocks lie outside or inside of the channels)."""
    (n, c, h, w), b = x.shape, attrs["blocksize"]
    if attrs.get("mode", "DCR") == "DCR":
        y = x.reshape(n, b, b, c // b ** 2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, c // b ** 2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return (np.ascontiguousarray(y.reshape(n, c // b ** 2, h * b, w * b)),)


@kernel("SpaceToDepth")
def space_to_depth(attrs, x):
    """attrs: blocksize."""
    (n, c, h, w), b = x.shape, attrs["blocksize"]
    y = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return (np.ascontiguousarray(y.reshape(n, c * b ** 2, h // b, w // b)),)
