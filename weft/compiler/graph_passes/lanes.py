"""Scales become integers: requantisation lanes for products, sums and changes of scale."""

import numpy as np

from weft.isa.quantise import MULTIPLIER_BITS, ROUNDINGS, pack_lanes, quantise_multiplier

from ..graph import TensorType

LARGEST_BIAS = 1 << 30  # leaves room in int32 for the sum of 2**16 products
LARGEST_SCALE = (1 << MULTIPLIER_BITS - 1) - 1
ADD_LIMIT = 32767  # a multiplier of `add` is an immediate of 16 bits, signed


class LanesError(Exception):
    """These scales do not fit the lanes; the text says why."""


def activation_range(target: TensorType, attrs: dict) -> tuple[int, int]:
    """The int8 limits that attributes minimum and maximum (real numbers, or absent) mean at target's scale."""
    low, high = attrs.get("minimum", -np.inf), attrs.get("maximum", np.inf)
    stored = np.clip([low / target.scale + target.zero_point, high / target.scale + target.zero_point], -128, 127)
    return int(np.rint(stored[0])), int(np.rint(stored[1]))


def scale_lanes(channels: int, scale, bias, target: TensorType, attrs: dict, rounding: str) -> np.ndarray:
    """Lanes [channels]: clamp(round((acc + bias) * scale) + target.zero_point). scale and bias: numbers or arrays."""
    if np.max(scale) >= 1 << MULTIPLIER_BITS - 1:
        raise LanesError(f"its output's scale is {np.max(scale):.3g} times finer than its sums'")
    multiplier, shift = quantise_multiplier(np.broadcast_to(scale, channels))
    low, high = activation_range(target, attrs)
    return pack_lanes(np.broadcast_to(bias, channels), multiplier, shift, target.zero_point, low, high, ROUNDINGS[rounding])


def stored_average_lanes(channels: int, count: int, rounding: str, origin: int = 0) -> np.ndarray:
    """Lanes [channels] that divide sums of stored values by `count`, as TFLite's kernels do: ties go away from the stored
    `origin`, which is 0 of int8 or, where the file has uint8, -128.

    The multiplier is rounded up, for one below 1 / count would make every tie fall short of it.
    """
    multiplier, shift = quantise_multiplier(1 / count)
    multiplier += multiplier * count < 1 << int(shift)
    return pack_lanes(np.full(channels, -origin * count), multiplier, shift, origin, -128, 127, ROUNDINGS[rounding])


def product_lanes(weight: np.ndarray, step: np.ndarray, bias: np.ndarray, source: TensorType, target: TensorType,
                  attrs: dict, rounding: str) -> tuple[np.ndarray, np.ndarray]:
    """(weights, lanes) of a convolution or matrix product.

    weight: int8 or int16 [O, ...]. step: float64 [O], the real size of one unit of the sums. bias: float64 [O], in such
    units. Where a bias does not fit int32 beside the sums, the weights of that channel are so fine that they hardly count:
    they and the bias are made coarser together. Else the weights come back as they are.
    """
    whole = _folded_bias(weight, bias, source)
    factor = np.maximum(np.ceil(np.abs(whole) / LARGEST_BIAS), 1)
    if (factor > 1).any():
        weight = np.rint(weight / factor.reshape((-1,) + (1,) * (weight.ndim - 1))).astype(weight.dtype)
        step, whole = step * factor, _folded_bias(weight, bias / factor, source)
    return weight, scale_lanes(len(weight), step / target.scale, whole.astype(np.int64), target, attrs, rounding)


def _folded_bias(weight: np.ndarray, bias: np.ndarray, source: TensorType) -> np.ndarray:
    """The bias of sums over stored values, which are source.zero_point too large; whole numbers as float64."""
    return np.rint(bias) - source.zero_point * weight.reshape(len(weight), -1).sum(1, dtype=np.int64)


def add_multipliers(scale_a: float, scale_b: float, scale_out: float) -> tuple[tuple[int, int], float]:
    """((ma, mb), unit) with scale_a = ma * unit and scale_b = mb * unit, as nearly as 16 bits allow.

    The larger takes at least 15 bits. Of those values that one is best for which both products with the multiplier that
    requantises to scale_out come nearest to what they stand for; then ties stay ties where the scales' ratios are short.
    """
    large, small = max(scale_a, scale_b), min(scale_a, scale_b)
    m_large = np.arange(ADD_LIMIT, ADD_LIMIT // 2, -1)
    m_small = np.rint(m_large * (small / large)).astype(np.int64)
    units = large / m_large
    multiplier, shift = quantise_multiplier(np.minimum(units / scale_out, LARGEST_SCALE))
    factor = np.ldexp(multiplier.astype(np.float64), -shift)
    error = np.abs(m_large * factor - large / scale_out) + np.abs(m_small * factor - small / scale_out)
    best = int(np.argmin(error))
    larger, smaller = int(m_large[best]), int(m_small[best])
    return ((larger, smaller) if scale_a >= scale_b else (smaller, larger)), float(units[best])
