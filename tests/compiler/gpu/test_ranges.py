"""What is known of indices equals what their values are."""

from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.expr import Const, Var, binary, substitute
from weft.compiler.gpu.ranges import interval, multiple, step, uniform

V, W = Var("v"), Var("w")
TURNS, LAST = 4, 6


def indices():
    leaves = st.sampled_from([V, W, *map(Const, (0, 1, 2, 4, 8, 12))])
    return st.recursive(leaves, lambda inner: st.one_of(
        st.tuples(st.sampled_from(["add", "sub", "min", "max"]), inner, inner),
        st.tuples(st.just("mul"), inner, st.sampled_from([Const(n) for n in (1, 2, 4, 16)])),
        st.tuples(st.sampled_from(["floordiv", "mod"]), inner, st.sampled_from([Const(n) for n in (1, 2, 4, 12)])),
    ).map(lambda t: binary(*t)), max_leaves=6)


def value(e, v, w) -> int:
    return substitute(e, {V: v, W: w}).value


@given(indices())
def test_bounds_divisors_and_steps(e):
    bounds, divisor, grows = interval(e, {V: TURNS - 1, W: LAST}), multiple(e), step(e, V, TURNS)
    for w in range(LAST + 1):
        values = [value(e, v, w) for v in range(TURNS)]
        assert bounds is None or bounds[0] <= min(values) and max(values) <= bounds[1]
        assert all(x == 0 if divisor == 0 else x % divisor == 0 for x in values)
        assert grows is None or all(b - a == grows for a, b in zip(values, values[1:]))


@given(indices(), st.sampled_from([0, 3, 4, 8, 16]), st.sampled_from(["ge", "lt"]))
def test_uniform_conditions_are_the_same_for_all_turns(e, limit, op):
    condition = binary(op, e, limit)
    if uniform(condition, V, TURNS):
        for w in range(LAST + 1):
            assert len({value(condition, v, w) for v in range(TURNS)}) == 1


def test_a_carry_that_never_comes():
    at = binary("add", binary("mul", W, 4), V)
    assert step(binary("floordiv", at, 8), V, 4) == 0 and step(binary("mod", at, 8), V, 4) == 1
    assert step(binary("floordiv", binary("add", at, 1), 8), V, 4) is None
