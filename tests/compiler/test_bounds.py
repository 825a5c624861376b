"""Bounds against every value that the loops give."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.bounds import Linear, constant, divided, extent_expr, interval, maximum, prune
from weft.compiler.expr import Binary, Const, Var, substitute
from weft.compiler.te import Axis

I, J = Axis("i", 4), Axis("j", 3)
LAST = {I: 3, J: 2}
SUMS = st.builds(lambda a, b, c: Linear(tuple((v, k) for v, k in ((I, a), (J, b)) if k), c),
                 st.integers(-4, 4), st.integers(-4, 4), st.integers(-9, 9))


def value(s: Linear, i: int, j: int) -> int:
    return s.constant + s.coefficient(I) * i + s.coefficient(J) * j


def points():
    return product(range(4), range(3))


@given(SUMS, SUMS)
def test_sums_add_and_subtract_pointwise(a, b):
    assert all(value(a + b, *p) == value(a, *p) + value(b, *p) for p in points())
    assert all(value(a - b, *p) == value(a, *p) - value(b, *p) for p in points())


@given(SUMS)
def test_largest_and_smallest_are_reached(s):
    values = [value(s, *p) for p in points()]
    assert (s.smallest(LAST), s.largest(LAST)) == (min(values), max(values))


@given(SUMS)
def test_the_expression_is_the_sum(s):
    assert Linear.of(s.expr()) == Linear(tuple(sorted(s.terms, key=lambda t: t[1] < 0)), s.constant)


@given(st.lists(SUMS, min_size=1, max_size=4))
def test_prune_keeps_the_minimum(sums):
    kept = prune(sums, LAST)
    assert set(kept) <= set(sums)
    for p in points():
        assert min(value(s, *p) for s in kept) == min(value(s, *p) for s in sums)


@given(st.integers(1, 4), st.integers(0, 5), st.integers(1, 20), st.integers(1, 6), st.integers(1, 3))
def test_the_interval_of_a_split_loop_is_exact(stride, shift, size, factor, taps):
    """index = stride * (o * factor + i) + tap + shift, with i in the tail of a split, seen with o and without."""
    turns = -(-size // factor)
    o, i, tap = Axis("o", turns), Axis("i", factor), Axis("tap", taps)
    last = {o: turns - 1, i: factor - 1, tap: taps - 1}
    inner = prune((Linear((), factor), Linear(((o, -factor),), size)), last)
    index = Linear(((o, stride * factor), (i, stride), (tap, 1)), shift)
    for relaxed, turn_of in (([(o, constant(turns)), (i, inner), (tap, constant(taps))], None),
                             ([(i, inner), (tap, constant(taps))], turns - 1)):
        low, highs = interval(index, relaxed)
        at = {o: turn_of or 0}
        values = [stride * (a * factor + b) + c + shift for a in (range(turns) if turn_of is None else [turn_of])
                  for b in range(min(factor, size - a * factor)) for c in range(taps)]
        assert low.constant + low.coefficient(o) * at[o] == min(values)
        assert min(h.constant + h.coefficient(o) * at[o] for h in highs) == max(values)


def test_an_index_that_runs_backwards_has_no_interval():
    assert interval(Linear(((I, -1),), 3), [(I, constant(4))]) is None


def test_extents_print_as_minima():
    v = Var("o")
    assert str(extent_expr((Linear((), 4), Linear(((v, -4),), 10)))) == "min(4, (10 - (o * 4)))"
    assert maximum((Linear((), 4), Linear(((v, -4),), 3)), {v: 0}) == 3


@given(SUMS, st.integers(1, 6), st.sampled_from(("floordiv", "mod")))
def test_a_division_that_goes_without_one_is_equal(total, by, op):
    simple = divided(Binary(op, total.expr(), Const(by)), LAST)
    for i, j in points():
        whole = value(total, i, j)
        assert substitute(simple, {I: i, J: j}).value == (whole // by if op == "floordiv" else whole % by)


def test_a_multiple_and_a_rest_need_no_division():
    assert str(divided(Binary("floordiv", I * 3 + J + 6, Const(3)), LAST)) == "(i + 2)"
    assert str(divided(Binary("mod", I * 3 + J + 6, Const(3)), LAST)) == "j"
    assert str(divided(Binary("mod", I * 2 + J, Const(2)), LAST)) == "(((i * 2) + j) % 2)"
