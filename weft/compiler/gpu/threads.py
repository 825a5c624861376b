"""What a loop program asks of a launch: how many blocks, and how many threads in each."""

from collections.abc import Iterator
from dataclasses import dataclass

from weft.isa import WeftError

from ..expr import Binary, Const, Expr
from ..schedule import THREADS
from ..stmt import Alloc, For, If, LoopProgram, Seq, Stmt

MOST_THREADS = 1024  # of a block, on every GPU since sm_20
MOST_BLOCKS = (2**31 - 1, 65535, 65535)


@dataclass(frozen=True)
class Dimensions:
    """Blocks of a launch and threads of a block, along x, y, z."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]

    @property
    def extents(self) -> dict[str, int]:
        """How many there are of each of schedule.THREADS."""
        return dict(zip(THREADS, (*self.grid, *self.block)))

    @property
    def threads(self) -> int:
        return self.block[0] * self.block[1] * self.block[2]


def dimensions(program: LoopProgram) -> Dimensions:
    """The largest extent of the loops bound to each thread.

    Raises
    ------
    WeftError: for more threads or blocks than a GPU takes, or loops over blocks within one over threads.
    """
    most = dict.fromkeys(THREADS, 1)
    for loop, around in _bound(program.body, ()):
        if loop.kind.startswith("blockIdx") and (loop.kind in around or any(kind.startswith("threadIdx") for kind in around)):
            raise WeftError(f"program '{program.name}'", "loops over blocks are the outermost ones, one for each name",
                            f"{loop.kind} within {', '.join(around)}", "reorder before bind")
        most[loop.kind] = max(most[loop.kind], upper(loop.extent))
    found = Dimensions(tuple(most[t] for t in THREADS[:3]), tuple(most[t] for t in THREADS[3:]))
    if found.threads > MOST_THREADS or any(n > limit for n, limit in zip(found.grid, MOST_BLOCKS)):
        raise WeftError(f"program '{program.name}'",
                        f"a block has at most {MOST_THREADS} threads, a grid {MOST_BLOCKS} blocks",
                        f"blocks of {found.block}, a grid of {found.grid}", "to split before bind")
    return found


def upper(extent: Expr) -> int:
    """A constant that the extent does not pass."""
    match extent:
        case Const(value):
            return value
        case Binary("min", a, b):
            return min((upper(e) for e in (a, b) if isinstance(e, (Const, Binary)) and _is_bounded(e)))
    raise WeftError(f"extent '{extent}'", "a loop of threads has a bound that is constant", "none",
                    "split by a constant factor")


def _is_bounded(e: Expr) -> bool:
    return isinstance(e, Const) or isinstance(e, Binary) and e.op == "min" and any(map(_is_bounded, (e.a, e.b)))


def _bound(stmt: Stmt, around: tuple[str, ...]) -> Iterator[tuple[For, tuple[str, ...]]]:
    match stmt:
        case For(kind=kind, body=body):
            if kind in THREADS:
                yield stmt, around
                around = (*around, kind)
            yield from _bound(body, around)
        case Seq(body):
            for s in body:
                yield from _bound(s, around)
        case Alloc(body=body) | If(body=body):
            yield from _bound(body, around)
