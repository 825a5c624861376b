"""Functions of float32 vectors, written with arithmetic alone: no calls, so that they vectorise on every form.

Each reduces its argument to a short interval and evaluates a polynomial there (the method of Cody and Waite, Software Manual
for the Elementary Functions, 1980). The polynomials interpolate the function at Chebyshev's points, which is close to the
best there is; they are computed here, in float64. NaN gives NaN; infinities and zeros give what NumPy gives. Errors are
stated in units in the last place (ulp) of float32.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from weft.llvm.values import F32, F64, I32, Value, vector

LN2_HIGH = 355 / 512  # few bits: its product with a whole number below 2**14 is exact
LN2_LOW = math.log(2) - LN2_HIGH
SHIFT = 1.5 * 2.0 ** 23  # added to a number below 2**22, it leaves the nearest whole number in the low bits
WHOLE = {F32: 2.0 ** 23, F64: 2.0 ** 52}  # from here on every float is a whole number
SMALLEST = 2.0 ** -126  # below are the subnormal numbers, which have fewer bits
MANTISSA, BIAS = 23, 127  # bits of a float32's fraction, and what is added to its exponent
SERIES = 24  # terms of a power series, enough for float64 wherever one is used here


@cache
def interpolated(function: Callable[[float], float], low: float, high: float, degree: int) -> tuple[float, ...]:
    """Coefficients, of x**0 first, of the polynomial that equals `function` at Chebyshev's points of [low, high]."""
    at_points = Chebyshev.interpolate(lambda x: np.array([function(float(v)) for v in x]), degree, domain=[low, high])
    return tuple(map(float, at_points.convert(kind=Polynomial).coef))


def polynomial(x: Value, coefficients: tuple[float, ...]) -> Value:
    """Its value at x, by Horner's rule."""
    y = x.like(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = multiply_add(y, x, c)
    return y


def multiply_add(a: Value, b, c) -> Value:
    """a * b + c, in one instruction where the form has it."""
    return a.call("fmuladd", b, c)


def _bits(x: float) -> int:
    return int(np.float32(x).view(np.int32))


def _power_of_two(n: Value, like: Value) -> Value:
    """2**n, n a whole number from -126 to 127."""
    return ((n + BIAS) << MANTISSA).bitcast(like.type)


def _as_bits(x: Value) -> Value:
    """The float32's bits as an integer."""
    return x.bitcast(vector(I32, x.lanes) if x.lanes else I32)


def absolute(x: Value) -> Value:
    return x.call("fabs")


def with_sign(x: Value, of: Value) -> Value:
    """|x| with the sign of another."""
    return x.call("copysign", of)


# whole numbers


def round_even(x: Value) -> Value:
    """The nearest whole number, a tie to the even one; exact. Of float64 too."""
    a, whole = absolute(x), WHOLE[x.element]
    return with_sign((a < whole).select((a + whole) - whole, a), x)


def floor(x: Value) -> Value:
    near = round_even(x)
    return (near > x).select(near - 1.0, near)


def ceil(x: Value) -> Value:
    near = round_even(x)
    return with_sign((near < x).select(near + 1.0, near), x)


# exponentials


def _exp_tail(r: float) -> float:
    """(exp(r) - 1 - r) / r**2."""
    return sum(r ** k / math.factorial(k + 2) for k in range(SERIES))


EXP_TAIL = interpolated(_exp_tail, -math.log(2) / 2, math.log(2) / 2, 5)


def _reduced(x: Value) -> tuple[Value, Value]:
    """(n, exp(r) - 1) for x = n log 2 + r with |r| at most log(2) / 2; n is an integer."""
    shifted = multiply_add(x, 1 / math.log(2), SHIFT)
    k = shifted - SHIFT
    r = multiply_add(k, -LN2_LOW, multiply_add(k, -LN2_HIGH, x))
    return _as_bits(shifted) - _bits(SHIFT), multiply_add(r * r, polynomial(r, EXP_TAIL), r)


def exp(x: Value) -> Value:
    """Below 1.5 ulp, subnormal results too."""
    x = (x > 89.0).select(89.0, x)  # the result is infinite
    x = (x < -104.0).select(-104.0, x)  # the result is 0
    n, y = _reduced(x)
    half = n >> 1  # in two steps, since 2**n may be no normal number
    return (y + 1.0) * _power_of_two(half, x) * _power_of_two(n - half, x)


def expm1(x: Value) -> Value:
    """exp(x) - 1, below 2 ulp: 2**n (exp(r) - 1) + (2**n - 1)."""
    n, y = _reduced(x)
    scale = _power_of_two(n, x)
    near = multiply_add(y, scale, scale - 1.0)
    return with_sign((absolute(x) < 16.0).select(near, exp(x) - 1.0), x)


def sigmoid(x: Value) -> Value:
    """1 / (1 + exp(-x)), as it is written: below 3 ulp of that in exact numbers, for results that are normal numbers."""
    return x.like(1.0).divided(exp(x * -1.0) + 1.0)


def _tanh_tail(z: float) -> float:
    """(tanh(x) / x - 1) / x**2 for z = x**2."""
    x = math.sqrt(z)
    return (math.tanh(x) / x - 1) / z if z > 1e-3 else -1 / 3 + 2 / 15 * z - 17 / 315 * z ** 2 + 62 / 2835 * z ** 3


TANH_SMALL = 0.625
TANH_TAIL = interpolated(_tanh_tail, 0.0, TANH_SMALL ** 2, 5)


def tanh(x: Value) -> Value:
    """Below 2 ulp: a polynomial near 0, else 1 - 2 / (exp(2 |x|) + 1)."""
    a, z = absolute(x), x * x
    small = multiply_add(x * z, polynomial(z, TANH_TAIL), x)
    large = x.like(1.0) - x.like(2.0).divided(exp(a + a) + 1.0)
    return with_sign((a < TANH_SMALL).select(small, large), x)


def _erf_tail(z: float) -> float:
    """erf(x) / x - 1 for z = x**2."""
    x = math.sqrt(z)
    return (math.erf(x) / x if z > 1e-4 else 2 / math.sqrt(math.pi) * (1 - z / 3 + z ** 2 / 10 - z ** 3 / 42)) - 1


ERF_SMALL, ERF_ONE = 1.0, 4.0  # a polynomial up to the first; from the second on the result is 1
ERF_TAIL = interpolated(_erf_tail, 0.0, ERF_SMALL ** 2, 6)
LOG_ERFC = interpolated(lambda x: math.log(math.erfc(x)), ERF_SMALL, ERF_ONE, 8)


def erf(x: Value) -> Value:
    """Below 3 ulp: a polynomial near 0, else 1 - exp(log(1 - erf(|x|))) with a polynomial for the logarithm."""
    a, z = absolute(x), x * x
    small = multiply_add(x, polynomial(z, ERF_TAIL), x)
    near = (a > ERF_ONE).select(ERF_ONE, a)
    large = x.like(1.0) - exp(polynomial(near, LOG_ERFC))
    return with_sign((a < ERF_SMALL).select(small, large), x)


# logarithms


def _log_tail(f: float) -> float:
    """(log(1 + f) - f + f**2 / 2) / f**3."""
    if abs(f) < 0.02:
        return sum((-1) ** k * f ** k / (k + 3) for k in range(SERIES))
    return (math.log1p(f) - f + f * f / 2) / f ** 3


LOG_TAIL = interpolated(_log_tail, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 8)


def log(x: Value) -> Value:
    """Below 1.5 ulp, of subnormal numbers too: x = 2**e m, log(x) = e log 2 + log(m) with m from sqrt(1/2) to sqrt(2)."""
    subnormal = x < SMALLEST
    bits = _as_bits(subnormal.select(x * 2.0 ** 25, x))
    e = (bits - _bits(math.sqrt(0.5))) >> MANTISSA
    f = (bits - (e << MANTISSA)).bitcast(x.type) - 1.0
    exponent = (e - subnormal.select(e.like(25), e.like(0))).to_float(x.element)
    z = f * f
    tail = multiply_add(f * z, polynomial(f, LOG_TAIL), exponent * LN2_LOW)
    y = multiply_add(exponent, LN2_HIGH, f + multiply_add(z, -0.5, tail))
    y = (x < math.inf).select(y, x)  # what is neither is infinite, or NaN
    return (x <= 0.0).select(x.equals(0.0).select(x.like(-math.inf), x.like(math.nan)), y)


def _atanh_tail(w: float) -> float:
    """2 (atanh(s) / s - 1) / s**2 for w = s**2."""
    return 2 * sum(w ** k / (2 * k + 3) for k in range(SERIES))


ATANH_TAIL = interpolated(_atanh_tail, 0.0, 1 / 9, 5)


def log1p_unit(u: Value) -> Value:
    """log(1 + u) for u from 0 to 1, below 2 ulp: 2 atanh(s) with s = u / (2 + u)."""
    s = u.divided(u + 2.0)
    w = s * s
    return u - s * (u - w * polynomial(w, ATANH_TAIL))


def softplus(x: Value) -> Value:
    """log(1 + exp(x)), below 4 ulp."""
    positive = (x < 0.0).select(0.0, x)
    return positive + log1p_unit(exp(absolute(x) * -1.0))


# roots


def sqrt(x: Value) -> Value:
    """Rounded rightly."""
    return x.call("sqrt")


def rsqrt(x: Value) -> Value:
    """1 / sqrt(x), below 1.5 ulp."""
    return x.like(1.0).divided(sqrt(x))


FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "abs": absolute, "ceil": ceil, "erf": erf, "exp": exp, "expm1": expm1, "floor": floor, "log": log, "round": round_even,
    "rsqrt": rsqrt, "sigmoid": sigmoid, "softplus": softplus, "sqrt": sqrt, "tanh": tanh,
}
