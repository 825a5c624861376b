"""Lifetimes in one arena: live buffers never overlap, and what is arranged is as small as the lifetimes allow, nearly."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from weft.compiler import arena

LIVES = st.lists(st.tuples(st.integers(-1, 20), st.integers(0, 8), st.integers(1, 30000)), min_size=1, max_size=25)


def buffers_of(lives) -> list[arena.Buffer]:
    return [arena.Buffer(str(i), "activation", (), first, first + span, size) for i, (first, span, size) in enumerate(lives)]


@given(LIVES)
def test_live_buffers_never_overlap(lives):
    buffers = buffers_of(lives)
    for offsets in (arena.first_fit(buffers), arena.arrange(buffers)):
        for a, b in itertools.combinations(buffers, 2):
            if a.first <= b.last and b.first <= a.last:
                x, y = offsets[a.name], offsets[b.name]
                assert x + a.size <= y or y + b.size <= x
        assert all(offset % arena.ALIGNMENT == 0 for offset in offsets.values())
        alive = max(sum(b.end for b in buffers if b.first <= t <= b.last) for t in range(-1, 30))
        assert arena.lower_bound(buffers) == alive <= arena.peak(buffers, offsets)


@given(LIVES)
def test_arranging_is_never_worse_than_the_largest_first(lives):
    buffers = buffers_of(lives)
    largest_first = arena.first_fit(sorted(buffers, key=lambda b: (-b.size, b.first, b.name)))
    assert arena.peak(buffers, arena.arrange(buffers)) <= arena.peak(buffers, largest_first)


def test_the_largest_first_is_improved():
    page = arena.ALIGNMENT
    buffers = buffers_of([(0, 1, 3 * page), (2, 1, 3 * page), (1, 1, 2 * page), (3, 2, 2 * page), (0, 0, 2 * page),
                          (5, 1, 3 * page)])
    for order in itertools.permutations(buffers):
        if arena.peak(buffers, arena.first_fit(list(order))) == arena.lower_bound(buffers):
            break
    else:
        raise AssertionError("the example has a plan at its bound")
    assert arena.peak(buffers, arena.arrange(buffers)) == arena.lower_bound(buffers)
