"""Exact requantisation on floating-point units; weft/isa/quantise.py is the definition.

`requantise(acc, scale)` of int32 acc, and scale = multiplier / 2**shift, which has 17 significant bits at most. A product has
below 49 bits, so float64 holds it, and rounding it once is all there is. Where acc is known to be below 2**24, float32 holds acc;
a fused multiply-add with a large constant then rounds the exact product to a whole number, half to even, in one instruction.
"""

import math

from weft.isa.quantise import HALF_EVEN, HALF_UP
from weft.llvm.machine import Form
from weft.llvm.values import F32, F64, I32, Value, vector

LARGE = 1.5 * 2.0 ** 23  # from 2**23 to 2**24 float32 has whole numbers only


def requantise(form: Form, acc: Value, scale: Value, rounding: int, zero_point: int, minimum: int, maximum: int,
               bound: float = math.inf) -> Value:
    """clip(round(acc * scale) + zero_point, minimum, maximum) as int32.

    scale: float64 or float32, either holds it. bound: |acc| and |acc * scale| stay below; an attribute that chooses the way only.
    """
    if scale.element == F32 and form.fma and rounding == HALF_EVEN and bound < 2 ** 22:
        whole = acc.to_float(F32).call("fma", scale, LARGE)
        bits = whole.bitcast(vector(I32, acc.lanes) if acc.lanes else I32) - (_BITS_OF_LARGE - zero_point)
        return bits.maximum(minimum).minimum(maximum)
    product = acc.to_float(F64) * (scale.to_float(F64) if scale.element == F32 else scale)
    low, high = float(minimum - zero_point), float(maximum - zero_point)
    if rounding == HALF_EVEN:
        whole = product.call("roundeven")
    elif rounding == HALF_UP:
        whole = (product + 0.5).call("floor")
    else:
        whole = (product + product.like(0.5).call("copysign", product)).call("trunc")
    return whole.maximum(low).minimum(high).to_int(I32) + zero_point


_BITS_OF_LARGE = 0x4B400000
