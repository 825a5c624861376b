"""Folding of loops into GEMM and ALU instructions: two loops run in hardware, the others become micro-ops.

An instruction steps through `iter_out`, `iter_in` and then its micro-ops. Loops that step alike are fused; of the rest two
are chosen for the hardware such that few micro-ops remain and, among equals, that updates of one accumulator are far apart.
Sums commute, so their loops may stand in any order; where the order matters, it is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from weft.isa import Config, Opcode
from weft.isa.table import layouts

KINDS = ("dst", "src", "wgt")
REUSE_DISTANCE = 1  # steps from one update of an accumulator to its next without a wait; 1: the machine never waits


@dataclass(frozen=True, eq=False)
class Loop:
    """`extent` turns; each adds `steps` (dst, src, wgt) to the addresses."""

    extent: int
    steps: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Kernel:
    """One instruction, relative to the addresses of its first step.

    fields: iter_out, iter_in and the factors. offsets: int64 [n, 3], (dst, src, wgt) of each micro-op.
    last: the largest address of each kind; the smallest is in `first`.
    """

    fields: dict[str, int]
    offsets: np.ndarray
    first: tuple[int, int, int]
    last: tuple[int, int, int]


@dataclass(frozen=True)
class Limits:
    """What fits: turns of a hardware loop, its factors by kind, micro-ops of a kernel.

    taps: of DEPTHWISE, whose inner loop runs within a micro-op, with one weight, over elements of INP in a row; else None.
    """

    turns: int
    factors: tuple[int, int, int]
    micro_ops: int
    taps: int | None = None

    @classmethod
    def of(cls, config: Config, opcode: Opcode, taps: int | None = None) -> "Limits":
        fields = layouts(config)[opcode].fields
        factors = tuple(fields[f"{kind}_factor_out"].bounds[1] if f"{kind}_factor_out" in fields else 0 for kind in KINDS)
        # half of the buffer, so that the next kernel can be loaded without dropping this one
        return cls(fields["iter_in"].bounds[1], factors, max(config.uop_depth // 2, 1), taps)


def fold(loops: Sequence[Loop], limits: Limits, any_order: bool) -> list[Kernel]:
    """The instructions that do all steps of `loops` (outermost first), one after the other.

    any_order: the steps may be done in any order; else it is kept.
    """
    if any(loop.extent <= 0 for loop in loops):
        return []
    fused = _fused(loops, limits, any_order)
    return [_kernel(*choice, start) for start, choice in _pieces(fused, limits, any_order, (0, 0, 0))]


def free_order(loops: Sequence[Loop], commutes: bool, reads_dst: bool, shift: int) -> bool:
    """Whether the steps of an ALU instruction may run in any order.

    commutes: updates of one element commute. reads_dst: src addresses the same memory as dst, `shift` elements above it at
    the first step; then no step may read what another one writes.
    """
    moving = [loop for loop in loops if loop.extent > 1]
    distinct = all(loop.steps[0] for loop in moving) and _injective([(loop.extent, loop.steps[0]) for loop in moving])
    if not (commutes or distinct):
        return False
    if not reads_dst:
        return True
    if shift == 0 and all(loop.steps[0] == loop.steps[1] for loop in moving):
        return distinct
    (dst_low, dst_high), (src_low, src_high) = (
        [sum(pick(0, (loop.extent - 1) * loop.steps[k]) for loop in moving) for pick in (min, max)] for k in (0, 1))
    return src_low + shift > dst_high or src_high + shift < dst_low


def _injective(dims: list[tuple[int, int]]) -> bool:
    """Whether sums of turn * step are surely all different: each step exceeds what the smaller ones reach together."""
    reach = 0
    for extent, step in sorted(dims, key=lambda d: abs(d[1])):
        if abs(step) <= reach:
            return False
        reach += (extent - 1) * abs(step)
    return True


def _fused(loops: Sequence[Loop], limits: Limits, any_order: bool) -> list[Loop]:
    """Loops of one turn dropped, and pairs that step as one loop made one."""
    rest = [loop for loop in loops if loop.extent > 1]
    while (pair := _fusable(rest, limits, any_order)) is not None:
        outer, inner = pair
        rest[rest.index(inner)] = Loop(outer.extent * inner.extent, inner.steps)
        rest.remove(outer)
    return rest


def _fusable(loops: list[Loop], limits: Limits, any_order: bool) -> tuple[Loop, Loop] | None:
    for i, outer in enumerate(loops):
        for k, inner in enumerate(loops):
            if i != k and (any_order or k == i + 1) and outer.extent * inner.extent <= limits.turns \
                    and all(a == inner.extent * b for a, b in zip(outer.steps, inner.steps)):
                return outer, inner
    return None


Choice = tuple[Loop | None, Loop | None, list[Loop]]  # outer and inner hardware loop, loops of the micro-ops


def _pieces(loops: list[Loop], limits: Limits, any_order: bool, start) -> Iterator[tuple[tuple[int, int, int], Choice]]:
    """Choices that fit, with the address of their first step; loops are halved until they do."""
    choice = _choose(loops, limits, any_order)
    if choice is not None:
        yield start, choice
        return
    # without freedom of order only the outermost loop can be cut
    k = max(range(len(loops)), key=lambda k: loops[k].extent) if any_order else 0
    half = loops[k].extent // 2
    for begin, extent in ((0, half), (half, loops[k].extent - half)):
        part = [Loop(extent, loops[k].steps)] if extent > 1 else []
        moved = tuple(s + begin * step for s, step in zip(start, loops[k].steps))
        yield from _pieces(loops[:k] + part + loops[k + 1:], limits, any_order, moved)


def _choose(loops: list[Loop], limits: Limits, any_order: bool) -> Choice | None:
    """The cheapest legal choice of hardware loops; None where too many micro-ops would remain."""
    best, best_cost = None, None
    for outer, inner in _hardware_pairs(loops, limits, any_order):
        rest = [loop for loop in loops if loop is not outer and loop is not inner]
        if any_order:  # loops that move dst go innermost: an accumulator rests as long as possible
            rest.sort(key=lambda loop: (loop.steps[0] != 0, loop.steps))
        count = prod(loop.extent for loop in rest)
        if count > limits.micro_ops:
            continue
        ordered = (outer, inner, *rest) if limits.taps is None else (outer, *rest, inner)
        order = [loop for loop in ordered if loop is not None]
        distance = _reuse_distance(order)
        steps = prod(loop.extent for loop in loops) if limits.taps is None else _window_cycles(order, inner, limits.taps)
        cost = (steps * max(1, ceil(REUSE_DISTANCE / distance)) + count, -distance)
        if best_cost is None or cost < best_cost:
            best, best_cost = (outer, inner, rest), cost
    return best


def _hardware_pairs(loops: list[Loop], limits: Limits, any_order: bool) -> Iterator[tuple[Loop | None, Loop | None]]:
    outer = [loop for loop in loops if loop.extent <= limits.turns
             and all(0 <= step <= most for step, most in zip(loop.steps, limits.factors))]
    inner = [loop for loop in outer if limits.taps is None or loop.steps[2] == 0]
    if any_order:
        yield from ((a, b) for a in outer for b in inner if a is not b)
        yield from ((None, b) for b in inner)
        yield from ((a, None) for a in outer)
    else:
        if len(loops) > 1 and loops[0] in outer and loops[1] in inner:
            yield loops[0], loops[1]
        if loops and loops[0] in inner:
            yield None, loops[0]
    yield None, None


def _window_cycles(order: list[Loop], inner: Loop | None, taps: int) -> int:
    """Cycles of DEPTHWISE: an element of INP a cycle, and each row of outputs reads its own from first to last."""
    row = (inner.extent - 1) * min(inner.steps[1], taps) + taps if inner else taps
    return row * prod(loop.extent for loop in order if loop is not inner)


def _reuse_distance(order: list[Loop]) -> float:
    """Steps from one update of an accumulator to its next, the innermost loop being the last."""
    distance = 1
    for loop in reversed(order):
        if loop.steps[0] == 0:
            return distance
        distance *= loop.extent
    return float("inf")


def _kernel(outer: Loop | None, inner: Loop | None, rest: list[Loop], start: tuple[int, int, int]) -> Kernel:
    none = Loop(1, (0, 0, 0))
    fields = {}
    for name, loop in (("out", outer or none), ("in", inner or none)):
        fields[f"iter_{name}"] = loop.extent
        fields |= {f"{kind}_factor_{name}": step for kind, step in zip(KINDS, loop.steps) if step}
    offsets = np.array([start], np.int64)
    for loop in rest:
        turns = np.arange(loop.extent)[:, None] * np.array(loop.steps)
        offsets = (offsets[:, None, :] + turns).reshape(-1, 3)
    reach = np.array([(loop.extent - 1) * np.array(loop.steps) for loop in (outer or none, inner or none)]).sum(axis=0)
    return Kernel(fields, offsets, tuple(map(int, offsets.min(axis=0))), tuple(map(int, offsets.max(axis=0) + reach)))
