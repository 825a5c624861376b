"""Between real and stored numbers: `quantize`, `dequantize`, `requantise`, and uint8 seen as int8."""

import numpy as np

from weft.isa.quantise import requantise, unpack_lanes

from .registry import kernel


def look_up(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Entry x & 255 of the table for each int8 of x."""
    return table[x.view(np.uint8)]


def apply_lanes(acc: np.ndarray, qnt: np.ndarray, table: np.ndarray | None = None) -> np.ndarray:
    """int8 of int32 sums [N, C, ...] by lanes [C], and then by a table [256] if there is one."""
    shape = (-1,) + (1,) * (acc.ndim - 2)
    lanes = {k: v.reshape(shape) for k, v in unpack_lanes(qnt).items()}
    y = requantise(acc, **lanes).astype(np.int8)
    return y if table is None else look_up(y, table)


def round_ties(x: np.ndarray, rounding: str) -> np.ndarray:
    """Whole numbers nearest to x; a tie goes to the even one ("half_even") or from zero ("half_away")."""
    if rounding == "half_even":
        return np.rint(x)
    return np.trunc(x + np.copysign(x.dtype.type(0.5), x))


def clip_to(dtype: str, x: np.ndarray) -> np.ndarray:
    """Whole numbers as that integer type, the nearest it has."""
    info = np.iinfo(dtype)
    return np.clip(x, info.min, info.max).astype(dtype)


def _along(value, ndim: int, axis: int | None) -> np.ndarray:
    """A scale or zero point (one number, or one an index of `axis`) in a shape that broadcasts."""
    value = np.asarray(value)
    if value.ndim == 0:
        return value
    return value.reshape([-1 if i == axis % ndim else 1 for i in range(ndim)])


@kernel("quantize")
def quantize(attrs, x):
    """Real to stored: clip(round(x / scale) + zero_point). attrs: scale, zero_point, dtype, rounding, axis."""
    scale = _along(np.float32(attrs["scale"]), x.ndim, attrs.get("axis"))
    zero_point = _along(attrs["zero_point"], x.ndim, attrs.get("axis"))
    whole = round_ties(x / scale, attrs.get("rounding", "half_even"))
    return (clip_to(attrs["dtype"], whole + zero_point),)


@kernel("dequantize")
def dequantize(attrs, x):
    """Stored to real, float32: (x - zero_point) * scale. attrs: scale, zero_point, axis."""
    scale = _along(np.float32(attrs["scale"]), x.ndim, attrs.get("axis"))
    zero_point = _along(attrs["zero_point"], x.ndim, attrs.get("axis"))
    return (((x.astype(np.int64) - zero_point) * scale).astype(np.float32),)


@kernel("requantise")
def requantise_channels(attrs, x, qnt, table=None):
    """x int8 [N, C, ...], qnt [C], optional table [256] -> int8 of the same shape."""
    return (apply_lanes(x.astype(np.int32), qnt, table),)


@kernel("lut")
def lut(attrs, x, table):
    """x int8 -> int8 of the same shape: any function of one value, as a table [256]; entry x & 255 is for x."""
    return (look_up(x, table),)


@kernel("uint8_to_int8")
def uint8_to_int8(attrs, x):
    """The same real numbers with a zero point lower by 128."""
    return ((x ^ np.uint8(128)).view(np.int8),)


@kernel("int8_to_uint8")
def int8_to_uint8(attrs, x):
    """The same real numbers with a zero point higher by 128."""
    return (x.view(np.uint8) ^ np.uint8(128),)
