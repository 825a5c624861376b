"""Barriers, derived from what is shared: the threads of a block wait for one another where one may read what another wrote,
and before what another may still read is overwritten.

    for k in range(4):                       for k in range(4):
      threadIdx.x i: tile[i] = x[k, i]         barrier
      threadIdx.x i: S(tile)             ->    threadIdx.x i: tile[i] = x[k, i]
                                               barrier
                                               threadIdx.x i: S(tile)
"""

from dataclasses import dataclass, field, replace

from weft.isa import WeftError

from ..expr import Const, Expr, Load, walk
from ..schedule import THREADS
from ..stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store
from .threads import dimensions


@dataclass(eq=False)
class Barrier(Stmt):
    """Every thread of the block comes here before any goes on."""

    def __str__(self):
        return "barrier"


@dataclass
class Pending:
    """What was read and written of shared buffers since the last barrier."""

    read: set[Buffer] = field(default_factory=set)
    written: set[Buffer] = field(default_factory=set)

    def meets(self, later: "Pending") -> bool:
        return bool(self.written & (later.read | later.written) or self.read & later.written)

    def joined(self, other: "Pending") -> "Pending":
        return Pending(self.read | other.read, self.written | other.written)


def derive(program: LoopProgram) -> LoopProgram:
    """The program with a Barrier wherever shared memory asks for one.

    Raises
    ------
    WeftError: where a barrier would stand in a loop or a condition that not all threads of a block go through.
    """
    body, _ = _Barriers(program.name, dimensions(program).extents).visit(program.body, Pending(), ())
    return replace(program, body=body)


class _Barriers:
    def __init__(self, name: str, extents: dict[str, int]):
        self.name, self.extents = name, extents

    def visit(self, stmt: Stmt, before: Pending, alone: tuple[str, ...]) -> tuple[Stmt, Pending]:
        """The statement with barriers inside, and what is pending behind it. alone: why not all threads come here."""
        match stmt:
            case Seq(body):
                made: list[Stmt] = []
                for part in body:
                    if isinstance(part, Barrier):
                        made.append(part)
                        before = Pending()
                        continue
                    if _is_step(part) and before.meets(accesses(part)):
                        made.append(self._barrier(alone))
                        before = Pending()
                    part, before = self.visit(part, before, alone)
                    made += part.body if isinstance(part, Seq) else [part]
                return Seq(made), before
            case Alloc(body=body):
                body, after = self.visit(body, before, alone)
                return replace(stmt, body=body), after
            case If(condition, body):
                body, after = self.visit(body, before, (*alone, str(condition)))
                return replace(stmt, body=body), after.joined(before)
            case For() if not _is_step(stmt):
                return self._loop(stmt, before, alone)
        return stmt, before.joined(accesses(stmt))

    def _loop(self, loop: For, before: Pending, alone: tuple[str, ...]) -> tuple[Stmt, Pending]:
        if loop.kind in THREADS:
            all_come = isinstance(loop.extent, Const) and loop.extent.value == self.extents[loop.kind]
            if loop.kind.startswith("threadIdx") and not all_come:
                alone = (*alone, f"{loop.kind} {loop.var} in range({loop.extent})")
            body, after = self.visit(_seq(loop.body), before, alone)
            return replace(loop, body=body), after
        _, after = self.visit(_seq(loop.body), before, alone)
        body, after = self.visit(_seq(loop.body), before.joined(after), alone)  # the next turn begins as this one ended
        return replace(loop, body=body), after.joined(before)

    def _barrier(self, alone: tuple[str, ...]) -> Barrier:
        if alone:
            raise WeftError(f"program '{self.name}'", "a barrier is where all threads of a block come",
                            f"one that is needed within {', '.join(alone)}", "extents that the tiles divide, or set_kept")
        return Barrier()


def accesses(stmt: Stmt) -> Pending:
    """What a statement reads and writes of shared memory."""
    match stmt:
        case Store(buffer, indices, value):
            loads = {e.buffer for part in (*indices, value) for e in walk(part) if isinstance(e, Load)}
            return Pending({b for b in loads if b.scope == "shared"}, {buffer} if buffer.scope == "shared" else set())
        case For(extent=extent, body=body):
            return _of(extent).joined(accesses(body))
        case If(condition, body):
            return _of(condition).joined(accesses(body))
        case Alloc(body=body):
            return accesses(body)
        case Seq(body):
            found = Pending()
            for part in body:
                found = found.joined(accesses(part))
            return found
    return Pending()


def _of(e: Expr) -> Pending:
    return Pending({load.buffer for load in walk(e) if isinstance(load, Load) and load.buffer.scope == "shared"})


def _is_step(stmt: Stmt) -> bool:
    """Loops and conditions around a single store: nothing in it waits for anything else in it."""
    while isinstance(stmt, For | If):
        stmt = stmt.body
    return isinstance(stmt, Store)


def _seq(stmt: Stmt) -> Seq:
    return stmt if isinstance(stmt, Seq) else Seq([stmt])
