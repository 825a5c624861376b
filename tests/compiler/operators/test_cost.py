"""The choice of tiles: what counts as a candidate, and that it must fit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.operators import cost
from weft.isa import DEFAULT


@given(st.integers(1, 300), st.integers(1, 20))
def test_sizes_are_the_smallest_for_their_number_of_tiles(extent, most):
    sizes = cost.sizes(extent, most)
    assert sizes[0] == 1 or most == 1
    assert len(sizes) <= most
    counts = [-(-extent // s) for s in sizes]
    assert all(-(-extent // count) == s for s, count in zip(sizes, counts))
    assert most == 1 or sizes[-1] == extent


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_micro_ops_are_what_two_loops_leave(nest):
    *rest, _, _ = sorted(nest)
    assert cost.micro_ops(*map(np.array, nest)) == np.prod(rest, initial=1)


def test_pick_takes_the_cheapest_that_fits():
    sizes = cost.grid(a=np.arange(1, 9), b=np.arange(1, 9))
    found = cost.pick(DEFAULT, lambda t: {"acc": t["a"] * t["b"] * 100}, sizes, lambda t: -t["a"] * t["b"] + t["a"] / 10)
    assert found == ({"a": 4, "b": 5}, -19.6)
    assert cost.pick(DEFAULT, lambda t: {"acc": t["a"] * 5000}, sizes, lambda t: t["a"]) is None


def test_threads_hide_the_shorter_of_load_and_compute():
    work = cost.Work(load=np.array(100.0), compute=np.array(300.0), store=np.array(50.0), tiles=np.array(10))
    assert (float(cost.total(work, False)), float(cost.total(work, True))) == (450.0, 315.0)
