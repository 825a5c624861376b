"""Requantisation on floating-point units is the integer function, in each of its ways."""

import numpy as np
from hypothesis import given, settings, strategies as st

from tests.compiler.cpu.programs import agree, each_form
from weft.compiler import te
from weft.compiler.cpu.requantise import CLAMPED, NARROW, WIDE, way
from weft.compiler.expr import call
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.isa.quantise import HALF_AWAY, HALF_EVEN, HALF_UP, requantise
from weft.llvm.machine import FORMS as ALL

N = 256


def requantised(form, acc, multiplier, shift, chosen, **attrs):
    """By machine code; the interpreter, and the definition, say the same."""
    scale = (multiplier / np.exp2(float(shift))).astype(np.float64 if chosen == WIDE else np.float32)
    x, f = te.placeholder("acc", {"i": N}, "int32", 0), te.placeholder("scale", {"i": N}, scale.dtype.name, 0)
    y = te.compute("y", {"i": N}, lambda i: call("requantise", x[i], f[i], dtype="int32", way=chosen, **attrs), 0)
    s = Schedule(y)
    s[y].vectorise(s[y].split(s[y].leaves[0], 16)[1])
    result = agree(lower(s, "q", {"acc": x, "scale": f, "y": y}), form, {"acc": acc, "scale": scale,
                                                                         "y": np.zeros(N, np.int32)})
    np.testing.assert_array_equal(result["y"], requantise(acc, 0, multiplier, shift, **attrs))


@each_form
@given(st.data())
@settings(max_examples=6, deadline=None)
def test_all_ways_are_exact(form, data):
    """Sums up to the bound, and many small ones; multipliers of all bits, and powers of two, which give ties."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bits, shift = data.draw(st.integers(1, 31)), data.draw(st.integers(0, 47))
    multiplier = rng.integers(-2**17, 2**17, N) if data.draw(st.booleans()) else np.full(N,
                                                                                         1 << data.draw(st.integers(0, 16)))
    acc = rng.integers(-2**bits, 2**bits, N).astype(np.int32)
    acc[::3] >>= bits // 2
    attrs = dict(rounding=data.draw(st.sampled_from((HALF_UP, HALF_EVEN, HALF_AWAY))),
                 zero_point=data.draw(st.integers(-128, 127)),
                 minimum=-128, maximum=data.draw(st.integers(0, 127)))
    chosen = way(np.full(N, 1 << bits), multiplier / np.exp2(float(shift)), form, attrs["rounding"])
    for one in {WIDE, chosen}:
        requantised(form, acc, multiplier, shift, one, **attrs)


@each_form
def test_sums_beyond_what_float32_holds(form):
    acc = np.array([*range(2**24 - 64, 2**24 + 64), *range(2**31 - 64, 2**31), *range(-2**31, -2**31 + 64)], np.int32)
    for rounding in (HALF_UP, HALF_EVEN, HALF_AWAY):
        chosen = way(np.full(N, 2**31), 3 / 2**10, form, rounding)
        assert chosen == (CLAMPED if form.fma and (rounding == HALF_EVEN or form.vector_bits == 512) else WIDE)
        requantised(form, acc, np.full(N, 3), 10, chosen, rounding=rounding, zero_point=7, minimum=-128, maximum=127)


def test_the_way_is_narrow_only_where_it_is_exact():
    form, largest = ALL["avx512vnni"], np.array([2**24 - 1])
    assert way(largest, np.array([2.0**-12]), form, HALF_AWAY) == NARROW
    assert way(largest + 1, np.array([2.0**-12]), form, HALF_EVEN) == CLAMPED
    assert way(largest + 1, np.array([2.0**-16]), form, HALF_EVEN) == WIDE  # a clamped sum would not reach the result's end
    assert way(largest, np.array([0.5]), form, HALF_EVEN) == WIDE  # results that the large constant does not hold
    assert way(largest, np.array([2.0**-12]), ALL["avx2"], HALF_UP) == WIDE
    assert way(largest, np.array([2.0**-12]), ALL["plain"], HALF_EVEN) == WIDE
