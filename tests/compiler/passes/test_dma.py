"""Transfers against the copy that they stand for, element by element, with limits so small that all of them bind."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.passes.dma import Dim, Limits, Transfer, transfers
from weft.isa import DEFAULT

SMALL = Limits(x_size=5, y_size=3, x_stride=12, pad=2)


def naive(dims: tuple[Dim, ...]) -> dict[int, int | None]:
    """For each element of the scratchpad that is written: the element of DRAM, or None for padding."""
    written = {}
    for turns in product(*(range(d.extent) for d in dims)):
        inside = all(d.low <= t < d.high for d, t in zip(dims, turns))
        sram = sum(t * d.sram for d, t in zip(dims, turns))
        dram = sum(t * d.dram for d, t in zip(dims, turns))
        written[sram] = dram if inside else None
    return written


def run(instructions: list[Transfer]) -> dict[int, int | None]:
    """What the instruction set says that the transfers do."""
    written = {}
    for t in instructions:
        y0, y1, x0, x1 = t.pads
        at = t.sram
        for y, x in product(range(y0 + t.y_size + y1), range(x0 + t.x_size + x1)):
            inside = y0 <= y < y0 + t.y_size and x0 <= x < x0 + t.x_size
            written[at] = t.dram + (y - y0) * t.x_stride + x - x0 if inside else None
            at += 1
    return written


@st.composite
def copies(draw) -> tuple[Dim, ...]:
    """Nests as schedules make them: steps in the scratchpad like those of an array, with room at the end of its axes."""
    dims, sram, dram = [], 1, 1
    for _ in range(draw(st.integers(0, 4))):
        extent = draw(st.integers(1, 9))
        low = draw(st.one_of(st.just(0), st.integers(0, extent)))
        high = draw(st.one_of(st.just(extent), st.integers(low, extent)))
        dims.insert(0, Dim(extent, low, high, sram, dram * draw(st.sampled_from((1, 1, 1, 2)))))
        sram *= extent + draw(st.sampled_from((0, 0, 1)))
        dram *= extent + draw(st.sampled_from((0, 0, 0, 3)))
    return tuple(draw(st.permutations(dims)))


@given(copies(), st.sampled_from((SMALL, Limits.of(DEFAULT))))
def test_transfers_do_what_the_copy_does(dims, limits):
    found = transfers(dims, limits)
    assert run(found) == naive(dims)
    for t in found:
        assert 0 < t.x_size <= limits.x_size and 0 <= t.y_size <= limits.y_size and 0 <= t.x_stride <= limits.x_stride
        assert all(0 <= p <= limits.pad for p in t.pads)
    assert sum(t.elements for t in found) == len(naive(dims)), "an element is written once"


def test_an_image_with_padding_is_one_instruction():
    limits = Limits.of(DEFAULT)
    assert transfers((Dim(10, 1, 10, 16, 14), Dim(16, 1, 15, 1, 1)), limits) == [Transfer(0, 15, 9, 14, 14, (1, 0, 1, 1))]


def test_contiguous_loops_are_one_row():
    dims = (Dim(4, 0, 4, 90, 360), Dim(10, 0, 10, 9, 9), Dim(9, 0, 9, 1, 1))
    assert transfers(dims, Limits.of(DEFAULT)) == [Transfer(0, 0, 4, 90, 360)]


def test_all_padding_reads_nothing():
    found = transfers((Dim(4, 0, 0, 9, 20), Dim(9, 0, 9, 1, 1)), Limits.of(DEFAULT))
    assert found == [Transfer(0, 0, 0, 36, 36, (1, 0, 0, 0))]


def test_a_loop_without_turns_is_nothing():
    assert transfers((Dim(0, 0, 0, 9, 20), Dim(9, 0, 9, 1, 1)), SMALL) == []


def test_repeated_copies_keep_their_order():
    dims = (Dim(3, 0, 3, 0, 100), Dim(4, 0, 4, 1, 1))
    assert run(transfers(dims, SMALL)) == {k: 200 + k for k in range(4)}


def test_limits_are_those_of_the_instruction():
    limits = Limits.of(DEFAULT)
    assert limits == Limits(x_size=2**16 - 1, y_size=2**16 - 1, x_stride=2**16 - 1, pad=15)


def test_a_stride_beyond_its_field_takes_an_instruction_a_row():
    found = transfers((Dim(3, 0, 3, 2, 1 << 16), Dim(2, 0, 2, 1, 1)), Limits.of(DEFAULT))
    assert [(t.dram, t.y_size, t.x_size) for t in found] == [(k << 16, 1, 2) for k in range(3)]
    assert run(found) == {k: (k // 2 << 16) + k % 2 for k in range(6)}


def test_numbers_are_plain():
    assert all(type(v) is int for t in transfers((Dim(4, 0, 4, 1, 1),), SMALL) for v in (t.sram, t.dram, t.x_size))
