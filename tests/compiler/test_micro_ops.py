"""Folded instructions against plain enumeration of the loops that they stand for."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler import micro_ops
from weft.compiler.micro_ops import KINDS, Kernel, Limits, Loop, fold, free_order
from weft.isa import DEFAULT, Opcode

SMALL = Limits(turns=7, factors=(9, 9, 3), micro_ops=6)
STEPS = st.tuples(st.integers(-2, 12), st.integers(-2, 12), st.integers(0, 4))
LOOPS = st.lists(st.builds(Loop, st.integers(1, 6), STEPS), max_size=4)


def enumerate_loops(loops: list[Loop]) -> list[tuple[int, ...]]:
    return [tuple(sum(t * loop.steps[k] for t, loop in zip(turns, loops)) for k in range(3))
            for turns in product(*(range(loop.extent) for loop in loops))]


def enumerate_kernels(kernels: list[Kernel]) -> list[tuple[int, ...]]:
    """The steps as the instruction set defines them."""
    steps = []
    for kernel in kernels:
        f = kernel.fields
        for y, x in product(range(f["iter_out"]), range(f["iter_in"])):
            steps += [tuple(int(o) + y * f.get(f"{kind}_factor_out", 0) + x * f.get(f"{kind}_factor_in", 0)
                            for kind, o in zip(KINDS, offsets)) for offsets in kernel.offsets]
    return steps


@given(LOOPS, st.booleans())
def test_all_steps_are_done(loops, any_order):
    kernels = fold(loops, SMALL, any_order)
    expected, found = enumerate_loops(loops), enumerate_kernels(kernels)
    assert Counter(found) == Counter(expected)
    if not any_order:
        assert found == expected
    for kernel in kernels:
        for name in ("out", "in"):
            assert kernel.fields[f"iter_{name}"] <= SMALL.turns
            factors = [kernel.fields.get(f"{kind}_factor_{name}", 0) for kind in KINDS]
            assert all(0 <= factor <= most for factor, most in zip(factors, SMALL.factors))
        assert len(kernel.offsets) <= SMALL.micro_ops
        steps = enumerate_kernels([kernel])
        assert kernel.first == tuple(min(s[k] for s in steps) for k in range(3))
        assert kernel.last == tuple(max(s[k] for s in steps) for k in range(3))


def alu(dst: np.ndarray, steps, base_src: int, update) -> np.ndarray:
    values = dst.copy()
    for d, s, _ in steps:
        values[d] = update(int(values[d]), int(values[s + base_src]))
    return values


@given(st.lists(st.builds(Loop, st.integers(1, 4), st.tuples(st.integers(0, 8), st.integers(0, 8), st.just(0))), max_size=3),
       st.integers(0, 30), st.booleans())
def test_free_order_is_free(loops, shift, commutes):
    """Where free_order allows it, any order gives what the given order gives."""
    if not free_order(loops, commutes, True, shift):
        return
    update = (lambda x, y: max(x, y)) if commutes else (lambda x, y: 3 * x - y)
    start = np.random.default_rng(1).integers(-99, 99, 200)
    steps = enumerate_loops(loops)
    expected = alu(start, steps, shift, update)
    for order in (steps[::-1], sorted(steps, key=lambda s: (s[1], s[0]))):
        assert np.array_equal(alu(start, order, shift, update), expected)


def test_a_tile_of_distinct_elements_is_free_and_a_shift_of_one_is_not():
    tile = [Loop(4, (7, 7, 0)), Loop(7, (1, 1, 0))]
    assert free_order(tile, False, True, 0)
    assert free_order(tile, False, True, 28)
    assert not free_order(tile, False, True, 1)
    assert not free_order([Loop(3, (0, 1, 0)), *tile], False, True, 40)
    assert free_order([Loop(3, (0, 1, 0)), *tile], True, True, 40)


def distances(steps: list[tuple[int, ...]]) -> list[int]:
    last, apart = {}, []
    for k, (d, _, _) in enumerate(steps):
        apart += [k - last[d]] if d in last else []
        last[d] = k
    return apart


CONVOLUTION = [Loop(2, (0, 256, 9)), Loop(3, (0, 16, 3)), Loop(3, (0, 1, 1)), Loop(4, (196, 0, 18)), Loop(14, (14, 16, 0)),
               Loop(14, (1, 1, 0))]  # ci, kh, kw, co, oh, ow


def test_a_convolution_keeps_few_micro_ops_and_its_accumulators_apart():
    kernel, = fold(CONVOLUTION, Limits.of(DEFAULT, Opcode.GEMM), True)
    assert len(kernel.offsets) == 2 * 3 * 3 * 4, "the image runs in hardware; kernel and channels are micro-ops"
    assert min(distances(enumerate_kernels([kernel]))) == 4, "the blocks of output channels are innermost"


def test_a_machine_that_waits_gets_more_micro_ops(monkeypatch):
    monkeypatch.setattr(micro_ops, "REUSE_DISTANCE", 5)
    kernels = fold(CONVOLUTION, Limits.of(DEFAULT, Opcode.GEMM), True)
    assert min(distances(enumerate_kernels(kernels))) >= 5


def test_a_contiguous_block_is_one_micro_op():
    kernel, = fold([Loop(4, (56, 0, 0)), Loop(56, (1, 0, 0))], Limits.of(DEFAULT, Opcode.GEMM), True)
    assert kernel.fields == {"iter_out": 1, "iter_in": 224, "dst_factor_in": 1}
    assert kernel.offsets.tolist() == [[0, 0, 0]]


def test_no_turns_no_instruction():
    assert fold([Loop(3, (1, 1, 1)), Loop(0, (3, 3, 0))], SMALL, True) == []


@pytest.mark.parametrize("extent", (1 << 14, (1 << 15) + 3))
def test_more_turns_than_the_field_holds_are_cut(extent):
    limits = Limits.of(DEFAULT, Opcode.GEMM)
    kernels = fold([Loop(extent, (0, 0, 0))], limits, True)
    assert sum(k.fields["iter_out"] * k.fields["iter_in"] * len(k.offsets) for k in kernels) == extent
