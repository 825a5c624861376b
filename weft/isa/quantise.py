"""Requantisation: the one integer function that turns int32 sums into int8 activations.

The reference, the simulators, the compiler and the hardware's tests all use this definition. Its parameters stand a
channel apart in one QNT lane of 16 bytes, four little-endian words:

    word 0   bias         int32
    word 1   multiplier   int32, of which the low 18 bits count (signed)
    word 2   5:0 shift (0 to 47), 7:6 rounding, 15:8 zero point, 23:16 minimum, 31:24 maximum (int8 each)
    word 3   reserved, 0
"""

import numpy as np

MULTIPLIER_BITS = 18
MAX_SHIFT = 47
HALF_UP, HALF_EVEN, HALF_AWAY = 0, 1, 2
ROUNDINGS = {"half_up": HALF_UP, "half_even": HALF_EVEN, "half_away": HALF_AWAY}
QNT_LANE = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("shift", "u1"), ("zero_point", "i1"), ("minimum", "i1"),
                     ("maximum", "i1"), ("reserved", "<u4")])  # the byte of shift carries rounding in its upper two bits


def requantise(acc, bias, multiplier, shift, zero_point, minimum, maximum, rounding=HALF_EVEN):
    """clip(round((acc + bias) * multiplier / 2**shift) + zero_point, minimum, maximum), as int32.

    acc + bias wraps in int32; the product is exact. Arguments broadcast against one another.

    Parameters
    ----------
    acc, bias: int32. multiplier: -2**17 to 2**17-1. shift: 0 to 47.
    rounding: what a tie does: HALF_UP (towards plus infinity), HALF_EVEN (as ONNX Runtime), HALF_AWAY (from zero, as
        TFLite's kernels).
    """
    total = (np.asarray(acc, np.int32) + np.asarray(bias, np.int32)).astype(np.int64)
    product = total * np.asarray(multiplier, np.int64)
    shift = np.asarray(shift, np.int64)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    rounded = (product + half) >> shift
    tie = (shift > 0) & (((product + half) & ((np.int64(1) << shift) - 1)) == 0)
    step_back = tie & (((rounding == HALF_EVEN) & (rounded & 1 == 1)) | ((rounding == HALF_AWAY) & (product < 0)))
    return np.clip(rounded - step_back + zero_point, minimum, maximum).astype(np.int32)


def quantise_multiplier(scale) -> tuple[np.ndarray, np.ndarray]:
    """The (multiplier, shift) nearest to `scale` (float, any shape; 0 or positive), both int32.

    The multiplier has 17 significant bits where the scale allows: scale = multiplier / 2**shift within 2**-17.
    """
    scale = np.asarray(scale, np.float64)
    if not np.isfinite(scale).all() or (scale < 0).any():
        raise ValueError(f"a scale must be finite and not negative, not {scale}")
    _, exponent = np.frexp(scale)
    shift = np.clip(MULTIPLIER_BITS - 1 - exponent, 0, MAX_SHIFT)
    multiplier = np.rint(np.ldexp(scale, shift)).astype(np.int64)
    carry = (multiplier == 1 << MULTIPLIER_BITS - 1) & (shift > 0)
    multiplier, shift = np.where(carry, multiplier >> 1, multiplier), np.where(carry, shift - 1, shift)
    if (multiplier >> MULTIPLIER_BITS - 1).any():
        raise ValueError(f"a scale must be below {1 << MULTIPLIER_BITS - 1}, not {scale.max()}")
    return multiplier.astype(np.int32), shift.astype(np.int32)


def pack_lanes(bias, multiplier, shift, zero_point, minimum, maximum, rounding=HALF_EVEN) -> np.ndarray:
    """QNT lanes as an array of dtype QNT_LANE, of the arguments' broadcast shape."""
    bias, multiplier, shift, zero_point, minimum, maximum, rounding = np.broadcast_arrays(
        bias, multiplier, shift, zero_point, minimum, maximum, rounding)
    assert (np.abs(multiplier.astype(np.int64) * 2 + 1) < 1 << MULTIPLIER_BITS).all(), "multiplier needs more than 18 bits"
    assert ((shift >= 0) & (shift <= MAX_SHIFT)).all(), "shift must be 0 to 47"
    lanes = np.zeros(bias.shape, QNT_LANE)
    lanes["bias"], lanes["multiplier"], lanes["zero_point"] = bias, multiplier, zero_point
    lanes["shift"], lanes["minimum"], lanes["maximum"] = shift | rounding << 6, minimum, maximum
    return lanes


def unpack_lanes(lanes: np.ndarray) -> dict[str, np.ndarray]:
    """The arguments of `requantise` (but `acc`) from an array of dtype QNT_LANE, as the hardware reads them."""
    wide = lanes["multiplier"].astype(np.int64) & (1 << MULTIPLIER_BITS) - 1
    sign = 1 << MULTIPLIER_BITS - 1
    return {"bias": lanes["bias"], "multiplier": (wide ^ sign) - sign, "shift": lanes["shift"] & 63,
            "rounding": lanes["shift"] >> 6, **{k: lanes[k].astype(np.int32) for k in ("zero_point", "minimum", "maximum")}}
