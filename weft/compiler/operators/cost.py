"""Choosing tiles: legality first, then a rough number of cycles. All quantities may be arrays of candidates."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Protocol, TypeVar

import numpy as np

from weft.isa import Config, Opcode, WeftError
from weft.isa.table import layouts

Sizes = Mapping[str, np.ndarray]  # of tiles, by the names of axes

INSTRUCTION = 10  # cycles that an instruction takes apart from its steps or beats: fetch, tokens, start
REMEMBERED = 1000  # choices of each operator
LATENCY = 24  # and a LOAD or STORE on top, until its first beat has come
ROW = 2  # what each row of a transfer costs on top of its beats
ENDING = 60  # cycles from the end of a tile's products to the beginning of its thread's next ones, apart from steps and beats
FOLDED_LOOPS = 2  # of an instruction's nest run in hardware; the others are written out as micro-ops


@dataclass(frozen=True)
class Work:
    """What the three modules have to do, in cycles, and the cycles of it that nothing runs beside. alu: of compute's work,
    what another thread's products run beside."""

    load: np.ndarray
    compute: np.ndarray
    store: np.ndarray
    tiles: np.ndarray
    alone: np.ndarray | float = 0.0
    alu: np.ndarray | float = 0.0


def transfer(config: Config, bytes_, rows, instructions):
    """Cycles of LOADs or STOREs of so many bytes in so many rows altogether."""
    return bytes_ / (config.bus_bits // 8) + rows * ROW + instructions * (INSTRUCTION + LATENCY)


def steps(count, instructions):
    """Cycles of GEMMs or ALUs of so many steps altogether."""
    return count + instructions * INSTRUCTION


def total(work: Work, extent: int, size, threads: int):
    """Cycles of an operator; the tiles of `size` along one axis of `extent` are dealt out to threads.

    The modules run beside one another, but for the first and the last tile, and for what a last tile has no partner for.
    """
    apart = work.load + work.compute + work.alu + work.store
    beside = np.maximum(np.maximum(work.load, work.compute), np.maximum(work.alu, work.store))
    beside = beside + (work.load + work.alu + work.store) / work.tiles
    cycles = work.alone + beside + _lonely(extent, size, threads) * (apart - beside).clip(0)
    return np.where((threads > 2) & (tiles(extent, size) < threads), np.inf, cycles)


def numbers_of_threads(threads: int, few: bool = False) -> tuple[tuple[int, ...], ...]:
    """How many virtual threads an operator may use, in groups: the next one counts where nothing of those before fits.

    Where little is multiplied, a tile's products are shorter than the ending of the other thread's: twice the threads hide it,
    unless the operator is to have few: what loads into ACC holds up all that share the half.
    """
    more = () if few else (2 * threads,)
    return ((*more, threads), (1,)) if threads > 1 else ((1,),)


def exposed(compute, last, alu, store, overhead, threads: int):
    """Cycles of the ends of tiles (ALU operations, then stores, and `overhead`) that nothing hides.

    compute, last: all products, and those beside which a tile can end, the last of each. With two threads a reset waits for its
    thread's store, and the other one's ALU operations behind it; of each two tiles, one's ending is beside all of the other's.
    With more, only the chain of a thread's own tile counts: the others' last products are beside it.
    """
    ending = alu + store + overhead
    if threads <= 2:
        return np.maximum(ending - last, 0) / 2
    return np.maximum(compute - last + (last + ending) / threads - np.maximum(compute, np.maximum(alu, store)), 0)


def _lonely(extent: int, size, threads: int):
    """The share of work that no other thread runs beside: of a last round whose tiles are too few or too short."""
    if threads == 1:
        return 1.0
    count = tiles(extent, size)
    tail = extent - (count - 1) * size
    if threads > 2:
        rest = np.minimum(count % threads, 3) % 3  # two threads that share a half of ACC wait for one another
        return np.where(rest > 0, tail + (rest - 1).clip(0) * size, 0) / extent
    return np.where(count % threads == 1, tail, size - tail) / extent


def sizes(extent: int, most: int = 64) -> np.ndarray:
    """Tile sizes worth a try along an axis: the smallest for each number of tiles; thinned evenly to `most` of them."""
    found = sorted({-(-extent // count) for count in range(1, extent + 1)})
    if len(found) > most:
        found = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))]
    return np.array(found)


def grid(**axes: np.ndarray) -> dict[str, np.ndarray]:
    """All combinations, as one flat array for each axis."""
    arrays = np.meshgrid(*axes.values(), indexing="ij")
    return {name: a.reshape(-1) for name, a in zip(axes, arrays)}


def tiles(extent, size):
    """Number of tiles."""
    return -(-extent // size)


def micro_ops(*extents):
    """Micro-ops of one instruction over a nest: the product of all but the two longest loops."""
    nest = np.sort(np.stack(np.broadcast_arrays(*extents)), axis=0)
    return nest[:-FOLDED_LOOPS].prod(axis=0)


def micro_op_limit(config: Config) -> int:
    """Most micro-ops that one instruction should need: a quarter of the buffer, so that several are kept."""
    return max(config.uop_depth // 4, 1)


def loop_limit(config: Config) -> int:
    """Most turns of one hardware loop."""
    return layouts(config)[Opcode.GEMM].fields["iter_in"].bounds[1]


_CHOSEN: ContextVar[list[float] | None] = ContextVar("chosen", default=None)


@contextmanager
def chosen() -> Iterator[list[float]]:
    """The estimated cycles of all that `choose` chooses meanwhile."""
    cycles: list[float] = []
    token = _CHOSEN.set(cycles)
    try:
        yield cycles
    finally:
        _CHOSEN.reset(token)


T = TypeVar("T")


def remembered(choose: Callable[..., T]) -> Callable[..., T]:
    """The function `choose(subject, ...)`, which works once for what equals by its text: networks repeat their layers, and
    candidates are many. Errors are not remembered; who listens by `chosen` is told as if it had worked."""
    known: dict[str, tuple[T, float]] = {}

    @wraps(choose)
    def ask(subject: str, *made_for) -> T:
        key = repr(made_for)
        if key not in known:
            with chosen() as cycles:
                tile = choose(subject, *made_for)
            if len(known) >= REMEMBERED:
                known.clear()
            known[key] = tile, sum(cycles)
        tile, taken = known[key]
        _tell(taken)
        return tile

    return ask


def _tell(cycles: float):
    listening = _CHOSEN.get()
    if listening is not None:
        listening.append(cycles)


class Plan(Protocol):
    """A way to cut an operator, but for the sizes: those are given as arrays by the names of axes."""

    def needs(self, t: Sizes) -> Mapping[str, np.ndarray]:
        """Elements of each scratchpad ('inp', 'wgt', 'acc', 'qnt'), and micro-ops of an instruction ('uop')."""

    def cycles(self, t: Sizes) -> np.ndarray:
        """The estimate."""


P = TypeVar("P", bound=Plan)


def choose(subject: str, config: Config, plans: Iterable[Sequence[P]], candidates: Sizes) -> tuple[P, dict[str, int]]:
    """The plan and the sizes of fewest cycles, out of the first group of plans of which any fits.

    Raises
    ------
    WeftError: where nothing fits; it says what the last plan's smallest tile needs.
    """
    for group in plans:
        found = [(plan, *hit) for plan in group if (hit := pick(config, plan, candidates)) is not None]
        if found:
            plan, sizes, cycles = min(found, key=lambda hit: hit[2])
            _tell(cycles)
            return plan, sizes
    smallest = group[-1].needs({name: np.array([1]) for name in candidates})
    raise no_tile(subject, config, {scope: int(np.max(need)) for scope, need in smallest.items()})


def pick(config: Config, plan: Plan, candidates: Sizes) -> tuple[dict[str, int], float] | None:
    """The sizes of fewest cycles among those that fit, and their cycles; None where none fit."""
    legal = np.all([values <= loop_limit(config) for values in candidates.values()], axis=0)
    for scope, elements in plan.needs(candidates).items():
        legal &= elements <= depth(config, scope)
    if not legal.any():
        return None
    left = {name: values[legal] for name, values in candidates.items()}
    estimate = plan.cycles(left)
    best = int(np.argmin(estimate))
    return {name: int(values[best]) for name, values in left.items()}, float(estimate[best])


def estimate(plan: Plan, sizes: Mapping[str, int]) -> float:
    """Cycles of one choice of sizes."""
    return float(plan.cycles({name: np.array([size]) for name, size in sizes.items()})[0])


def depth(config: Config, scope: str) -> int:
    """Elements that a tile may take of a scratchpad; of micro-ops, the limit of one instruction."""
    return micro_op_limit(config) if scope == "uop" else getattr(config, f"{scope}_depth")


def no_tile(subject: str, config: Config, needs: Mapping[str, int]) -> WeftError:
    """The refusal where not even the smallest tile fits."""
    found = [f"{scope} {need} of {depth(config, scope)}" for scope, need in needs.items() if need > depth(config, scope)]
    what = [scope for scope, need in needs.items() if need > depth(config, scope)]
    return WeftError(subject, f"the smallest tile must fit the scratchpads of config '{config.name}'",
                     ", ".join(found) + " elements", "a larger " + " and ".join(f"{scope}_buffer" for scope in what))
