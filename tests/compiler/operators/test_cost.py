"""The choice of tiles: what counts as a candidate, and that it must fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.operators import cost
from weft.isa import DEFAULT, WeftError


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


class Product:
    """Needs a * b * hundred accumulators; the larger, the cheaper."""

    def __init__(self, hundred: int):
        self.hundred = hundred

    def needs(self, t):
        return {"acc": t["a"] * t["b"] * self.hundred}

    def cycles(self, t):
        return -t["a"] * t["b"] + t["a"] / 10


SIZES = cost.grid(a=np.arange(1, 9), b=np.arange(1, 9))


def test_the_cheapest_that_fits_is_taken():
    assert cost.pick(DEFAULT, Product(100), SIZES) == ({"a": 4, "b": 5}, -19.6)
    assert cost.pick(DEFAULT, Product(5000), SIZES) is None


def test_a_later_group_is_taken_only_where_nothing_before_fits():
    first, second, third = Product(5000), Product(1000), Product(1)
    assert cost.choose("x", DEFAULT, [[first], [first, second], [third]], SIZES) == (second, {"a": 1, "b": 2})


def test_nothing_fits():
    with pytest.raises(WeftError) as error:
        cost.choose("node 'x'", DEFAULT, [[Product(7000)], [Product(5000)]], SIZES)
    assert str(error.value) == ("node 'x': the smallest tile must fit the scratchpads of config 'default', but found acc "
                                "5000 of 2048 elements; try: a larger acc_buffer")


def test_loops_are_no_longer_than_the_machine_counts():
    long = {"a": np.array([1, 20000]), "b": np.array([1, 1])}
    assert cost.pick(DEFAULT, Product(0), long) == ({"a": 1, "b": 1}, -0.9)


WORK = cost.Work(load=np.array(100.0), compute=np.array(300.0), store=np.array(50.0), tiles=np.array(10))


@pytest.mark.parametrize("extent, size, threads, cycles", [
    (8, 2, 1, 450), (8, 2, 2, 315), (6, 2, 2, 315 + 135 / 3), (7, 4, 2, 315 + 135 / 7), (2, 2, 2, 450),
    (8, 2, 4, 315), (14, 2, 4, 315), (10, 2, 4, 315 + 135 / 5), (12, 2, 4, 315 + 135 / 3), (6, 2, 4, np.inf)])
def test_threads_hide_loads_but_for_a_tile_without_a_partner(extent, size, threads, cycles):
    assert np.isclose(cost.total(WORK, extent, np.array(size), threads), cycles)


@pytest.mark.parametrize("compute, last, alu, store, threads, cycles", [
    (100, 100, 60, 30, 2, 0),  # the other thread's products hide it
    (100, 100, 200, 200, 2, 150),
    (100, 100, 200, 200, 4, 0),  # ALU and store are busy all the time: no chain is longer
    (100, 20, 40, 60, 4, 10),  # 80 of products that nothing ends beside, and a quarter of 20 + 100
    (100, 20, 40, 60, 2, 40)])
def test_what_nothing_hides_of_the_ends_of_tiles(compute, last, alu, store, threads, cycles):
    assert np.isclose(cost.exposed(compute, last, alu, store, 0, threads), cycles)


def test_twice_the_threads_unless_the_operator_is_to_have_few():
    assert cost.numbers_of_threads(2) == ((4, 2), (1,))
    assert cost.numbers_of_threads(2, few=True) == ((2,), (1,))
    assert cost.numbers_of_threads(1) == cost.numbers_of_threads(1, few=True) == ((1,),)


def test_equal_choices_are_made_once():
    made = []

    @cost.remembered
    def choose(subject, hundred, config):
        made.append(hundred)
        return cost.choose(subject, config, [[Product(hundred)]], SIZES)[1]

    for _ in range(2):
        with cost.chosen() as cycles:
            assert choose("x", 100, DEFAULT) == {"a": 4, "b": 5}
        assert cycles == [-19.6]
    assert choose("y", 1000, DEFAULT) == {"a": 1, "b": 2} and made == [100, 1000]
    for subject in ("node 'x'", "node 'y'"):
        with pytest.raises(WeftError, match=subject):
            choose(subject, 5000, DEFAULT)
    assert made == [100, 1000, 5000, 5000]
