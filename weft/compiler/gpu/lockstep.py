"""What threads mean: a loop program with bound loops, run on NumPy arrays by all threads of all blocks at once.

Each statement is done by every thread before the next one, a thread being a place in arrays. That is one of the orders that a
GPU may take, and all of them give the same result if no thread reads or overwrites what another one wrote since the last
barrier, or overwrites what another one read. Every access is held against that: a program that would need another barrier
is refused, whatever its numbers.
"""

from collections.abc import Mapping
from math import prod

import numpy as np

from .. import interpret
from ..expr import Expr, Var
from ..schedule import THREADS
from ..stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store
from .barriers import Barrier
from .threads import dimensions

NOBODY, SEVERAL = -1, -2


class RaceError(AssertionError):
    """Two threads meet at one value with no barrier between."""


def run(program: LoopProgram, arrays: Mapping[str, np.ndarray]):
    """Runs the program on its arguments, in place. Arguments and errors as of interpret.run.

    Raises
    ------
    RaceError: where the result would depend on the order of threads.
    """
    threads = _Threads(program, interpret.bind(program, arrays))
    threads.run(program.body, {})


class _Log:
    """Who wrote and who read each value since the last barrier: a thread's number, NOBODY or SEVERAL."""

    def __init__(self, values: int):
        self.writer, self.reader = np.full(values, NOBODY), np.full(values, NOBODY)

    def clear(self):
        self.writer[:], self.reader[:] = NOBODY, NOBODY

    def read(self, name: str, places: np.ndarray, thread: np.ndarray):
        self._refuse(name, "reads what another wrote", self.writer[places], thread)
        before = self.reader[places]
        self.reader[places] = thread
        others = (self.reader[places] != thread) | ((before != NOBODY) & (before != thread))
        self.reader[places[others]] = SEVERAL

    def write(self, name: str, places: np.ndarray, thread: np.ndarray, lost: np.ndarray):
        """lost: where another thread's value is what stays."""
        self._refuse(name, "overwrites what another wrote", self.writer[places], thread)
        self._refuse(name, "overwrites what another reads", self.reader[places], thread)
        self.writer[places] = thread
        self._refuse(name, "writes where another writes", np.where(lost, self.writer[places], NOBODY), thread)

    @staticmethod
    def _refuse(name: str, what: str, found: np.ndarray, thread: np.ndarray):
        bad = (found != NOBODY) & (found != thread)
        if bad.any():
            k = int(np.argmax(bad))
            raise RaceError(f"{name}: thread {thread[k]} {what} (thread {found[k]}), with no barrier between")


class _Threads(interpret.Interpreter):
    """All threads at once: in each array of values the first axis is the thread's."""

    def __init__(self, program: LoopProgram, memory: dict[Buffer, np.ndarray]):
        super().__init__(memory)
        self.extents = dimensions(program).extents
        self.count = prod(self.extents.values())
        number = np.arange(self.count)
        self.own: dict[str, np.ndarray] = {}
        for name in ("threadIdx.x", "threadIdx.y", "threadIdx.z", "blockIdx.x", "blockIdx.y", "blockIdx.z"):
            self.own[name], number = number % self.extents[name], number // self.extents[name]
        self.number = np.arange(self.count)
        self.block = self.number // prod(self.extents[t] for t in THREADS[3:])
        self.bound: tuple[str, ...] = ()
        self.active = np.ones(self.count, bool)
        self.logs = {buffer: _Log(array.size) for buffer, array in memory.items()}
        self.storing: Buffer | None = None

    # Statements

    def run(self, stmt: Stmt, at: interpret.Environment):
        match stmt:
            case Alloc(buffer, body):
                copies = {"shared": int(self.block[-1]) + 1, "local": self.count, "reg": self.count}[buffer.scope]
                self.memory[buffer] = np.stack([interpret.unwritten(buffer).reshape(-1)] * copies)
                if buffer.scope == "shared":
                    self.logs[buffer] = _Log(self.memory[buffer].size)
                super().run(body, at)
            case Barrier():
                self._barrier()
            case If(condition, body):
                with_it = self.active & np.broadcast_to(self._value(condition, at, self.active), self.count)
                self._run_as(with_it, body, at)
            case For():
                self._loop(stmt, at)
            case Store():
                self._do([], stmt, at)
            case Seq(body):
                for part in body:
                    self.run(part, at)
            case _:
                raise TypeError(f"no meaning for {stmt}")

    def _run_as(self, active: np.ndarray, body: Stmt, at: interpret.Environment):
        before, self.active = self.active, active
        if active.any():
            self.run(body, at)
        self.active = before

    def _barrier(self):
        per_block = self.active.reshape(int(self.block[-1]) + 1, -1)
        if (per_block.any(1) != per_block.all(1)).any():
            raise RaceError("a barrier that only some threads of a block come to")
        for buffer, log in self.logs.items():
            if buffer.scope == "shared":
                log.clear()

    def _loop(self, loop: For, at: interpret.Environment):
        extent = np.broadcast_to(self._value(loop.extent, at), self.count)
        if loop.kind in THREADS:
            bound, self.bound = self.bound, (*self.bound, loop.kind)
            self._run_as(self.active & (self.own[loop.kind] < extent), loop.body, {**at, loop.var: self.own[loop.kind]})
            self.bound = bound
            return
        loops, store = _nest(loop)
        if store is not None:
            extents = [self._constant_extent(n.extent, at) for n in loops]
            if None not in extents and prod(extents) * self.count <= interpret.AT_ONCE and self._do(
                    [(n.var, e) for n, e in zip(loops, extents)], store, at):
                return
        most = int(extent[self.active].max(initial=0))
        for turn in range(most):
            self._run_as(self.active & (turn < extent), loop.body, {**at, loop.var: np.int64(turn)})

    def _constant_extent(self, extent: Expr, at: interpret.Environment) -> int | None:
        """The number of turns where it is the same for all threads and depends on no loop of the nest, else None."""
        if any(isinstance(e, Var) and e not in at for e in interpret.walk(extent)):
            return None
        value = np.asarray(self._value(extent, at))[()]
        return max(int(value), 0) if np.ndim(value) == 0 else None

    def _do(self, turns: list[tuple[Var, int]], store: Store, at: interpret.Environment) -> bool:
        """A store for all turns of loops around it at once. False, with nothing done, where turns may depend on others."""
        extents = [extent for _, extent in turns]
        if 0 in extents:
            return True
        active = self._who_stores(store.buffer)
        if not active.any():
            return True
        d = len(turns)
        env = {v: self._column(value, d) for v, value in at.items()}
        env |= {v: np.arange(n).reshape([-1 if i == k else 1 for i in range(-1, d)]) for k, (v, n) in enumerate(turns)}
        reduced, operation, value = (), None, store.value
        if d:
            used = {e for i in store.indices for e in interpret.walk(i) if isinstance(e, Var)}
            reduced = tuple(k + 1 for k, (v, n) in enumerate(turns) if v not in used and n > 1)
            own = [e for e in interpret.walk(value) if isinstance(e, interpret.Load) and e.buffer is store.buffer]
            if reduced or any(e.indices != store.indices for e in own):
                operation, value = interpret.accumulation(store)
                if operation is None:
                    return False
        whole = (self.count, *extents)
        kept = tuple(1 if k in reduced else n for k, n in enumerate(whole))
        mask = active.reshape(-1, *[1] * d)
        indices = self._masked([self._value(i, env) for i in store.indices], mask)
        places = np.broadcast_to(self._flat(store.buffer, indices), kept)
        if d and not _distinct_per_thread(places, active):
            return False
        values = np.broadcast_to(np.asarray(self._value(value, env, mask)), whole)
        array, wide = self.memory[store.buffer].reshape(-1), np.broadcast_to(mask, kept)
        if operation is not None:
            values = operation.reduce(values, axis=reduced, keepdims=True) if reduced else values
            values = operation(array[places], values)
        self._write(store.buffer, array, places[wide], np.broadcast_to(values, kept)[wide].astype(array.dtype),
                    np.broadcast_to(self._column(self.number, d), kept)[wide])
        return True

    def _write(self, buffer: Buffer, array: np.ndarray, places: np.ndarray, values: np.ndarray, thread: np.ndarray):
        """Whoever writes what is there already, or what another one writes beside it, is in nobody's way."""
        bits = f"u{array.dtype.itemsize}"
        before, new = array.view(bits)[places], values.view(bits)
        array[places] = values
        if buffer in self.logs:
            lost = array.view(bits)[places] != new
            changed = (before != new) | lost
            self.logs[buffer].write(buffer.name, places[changed], thread[changed], lost[changed])

    def _who_stores(self, buffer: Buffer) -> np.ndarray:
        """Outside of a thread's loops its first turn stores what others see; each keeps what is its own."""
        active = self.active
        if buffer.scope not in ("local", "reg"):
            for name in THREADS:
                if name not in self.bound and self.extents[name] > 1:
                    active = active & (self.own[name] == 0)
        return active

    # Values

    def _column(self, value, d: int):
        """A value for each thread, to stand beside d loops."""
        value = np.asarray(value)
        return value.reshape(-1, *[1] * d) if value.ndim else value

    @staticmethod
    def _masked(indices: list, mask: np.ndarray) -> list:
        return [np.where(mask, i, 0) for i in indices]

    def _flat(self, buffer: Buffer, indices) -> np.ndarray:
        flat = super()._flat(buffer, indices)
        copies = {"shared": self.block, "local": self.number, "reg": self.number}.get(buffer.scope)
        if copies is None:
            return flat
        flat = np.asarray(flat)
        return flat + self._column(copies, max(flat.ndim - 1, 0)) * self.memory[buffer].shape[1]

    def _load(self, buffer: Buffer, indices, where) -> np.ndarray:
        places = self._flat(buffer, indices)
        if buffer.scope not in ("local", "reg"):
            d = max(np.ndim(places) - 1, 0)
            mask = self.active.reshape(-1, *[1] * d) if where is None else where
            shape = np.broadcast_shapes(np.shape(places), np.shape(mask), (self.count, *[1] * d))
            self._log_read(buffer, np.broadcast_to(places, shape), np.broadcast_to(mask, shape))
        return self.memory[buffer].reshape(-1)[places]

    def _log_read(self, buffer: Buffer, places: np.ndarray, mask: np.ndarray):
        if buffer in self.logs:
            thread = np.broadcast_to(self._column(self.number, places.ndim - 1), places.shape)[mask]
            self.logs[buffer].read(buffer.name, places[mask], thread)


def _nest(loop: For) -> tuple[list[For], Store | None]:
    """The serial loops from here to a single store within; (.., None) where there is something else."""
    loops, inner = [], loop
    while isinstance(inner, For) and inner.kind not in THREADS:
        loops.append(inner)
        inner = inner.body
    return loops, inner if isinstance(inner, Store) else None


def _distinct_per_thread(places: np.ndarray, active: np.ndarray) -> bool:
    """Whether no thread stores to a place twice."""
    each = np.sort(places.reshape(len(places), -1)[active], axis=1)
    return not (each[:, 1:] == each[:, :-1]).any()
