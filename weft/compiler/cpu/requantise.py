"""Exact requantisation on floating-point units; weft/isa/quantise.py is the definition.

A product of an int32 sum and of scale = multiplier / 2**shift, which has at most 17 significant bits, has below 49 bits, so
float64 holds it, and rounding it once is all there is. Where sums are known to stay below 2**24, float32 holds them, and a
fused multiply-add rounds but once: adding a large constant rounds to a whole number half to even; other rules are the CPU's
directions of rounding.
"""

import numpy as np
from llvmlite import ir

from weft.isa.quantise import HALF_AWAY, HALF_EVEN, HALF_UP
from weft.llvm.machine import Form
from weft.llvm.values import F32, F64, I16, I32, Value, declared, vector

LARGE = 1.5 * 2.0 ** 23  # from 2**23 to 2**24 float32 has whole numbers only
LARGE_64 = 1.5 * 2.0 ** 52  # likewise float64; products are below 2**49
BITS_OF_LARGE = int(np.float32(LARGE).view(np.int32))
WHOLE = 1 << 24  # float32 holds all whole numbers below
RESULT, BEYOND = 1 << 22, 1 << 9  # LARGE takes what is below the first; a result from the second on is clamped for sure
DOWN, TO_ZERO = 9, 11  # directions of rounding of AVX-512, without exceptions
WIDE, NARROW, CLAMPED = 0, 1, 2  # see `way`


def way(largest: np.ndarray, scale: np.ndarray, form: Form, rounding: int) -> int:
    """How to requantise sums of at most these absolute values, channel by channel, by these scales.

    WIDE: in float64. NARROW: in float32. CLAMPED: in float32, sums first clamped to what it holds: the results of those
    beyond are clamped in any case.
    """
    largest, scale = np.broadcast_arrays(largest, np.abs(scale))
    if not form.fma or rounding != HALF_EVEN and form.vector_bits != 512:
        return WIDE
    beyond = largest >= WHOLE
    if (np.minimum(largest, WHOLE) * scale >= RESULT).any() or (scale[beyond] * (WHOLE - 1) < BEYOND).any():
        return WIDE
    return CLAMPED if beyond.any() else NARROW


def requantise(form: Form, acc: Value, scale: Value, rounding: int, zero_point: int, minimum: int, maximum: int,
               way: int = WIDE) -> Value:
    """clip(round(acc * scale) + zero_point, minimum, maximum) as int32. scale: float64, or float32 unless the way is
    WIDE."""
    if way == WIDE or acc.lanes != 16 and rounding != HALF_EVEN:
        wide = scale.to_float(F64) if scale.element == F32 else scale
        return _in_float64(form, acc, wide, rounding, zero_point, minimum, maximum)
    if way == CLAMPED:
        acc = acc.maximum(1 - WHOLE).minimum(WHOLE - 1)
    x = acc.to_float(F32)
    if rounding == HALF_EVEN:
        whole = x.call("fma", scale, LARGE).bitcast(acc.type) - (BITS_OF_LARGE - zero_point)
    elif rounding == HALF_AWAY:
        whole = _fma_towards(x, scale, x.like(0.5).call("copysign", x * scale), TO_ZERO).to_int(I32) + zero_point
    else:
        whole = _floor(_fma_towards(x, scale, x.like(0.5), DOWN)) + zero_point
    return whole.maximum(minimum).minimum(maximum)


def _in_float64(form: Form, acc: Value, scale: Value, rounding: int, zero_point: int, minimum: int, maximum: int) -> Value:
    product, rounds = acc.to_float(F64) * scale, _rounds(form)
    if rounding == HALF_EVEN:
        whole = product.call("roundeven") if rounds else _nearest(product)
    elif rounding == HALF_UP:
        whole = (product + 0.5).call("floor") if rounds else _below(product + 0.5)
    else:
        away = product.call("fabs") + 0.5
        whole = (away.call("floor") if rounds else _below(away)).call("copysign", product)
    return whole.maximum(float(minimum - zero_point)).minimum(float(maximum - zero_point)).to_int(I32) + zero_point


def _rounds(form: Form) -> bool:
    """Whether rounding is an instruction; elsewhere it would be a call for each lane, which not every C library has."""
    return form.architecture != "armv7" and (form.architecture != "x86_64" or "sse4.1" in form.features)


def _nearest(x: Value) -> Value:
    """Half to even, by additions alone."""
    return (x + LARGE_64) - LARGE_64


def _below(x: Value) -> Value:
    near = _nearest(x)
    return (near > x).select(near - 1.0, near)


def _fma_towards(a: Value, b: Value, c: Value, direction: int) -> Value:
    function = declared(a.builder.module, "llvm.x86.avx512.vfmadd.ps.512", a.type, a.type, a.type, a.type, I32)
    return Value(a.builder, a.builder.call(function, [a.ir, b.ir, c.ir, I32(direction)]))


def _floor(x: Value) -> Value:
    kind = vector(I32, x.lanes)
    function = declared(x.builder.module, "llvm.x86.avx512.mask.cvtps2dq.512", kind, x.type, kind, I16, I32)
    return Value(x.builder, x.builder.call(function, [x.ir, ir.Constant(kind, ir.Undefined), I16(-1), I32(DOWN)]))
