"""Statements of values as LLVM's IR: what is stored, lane by lane or together, and how many turns a loop is known to
have."""

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.machine import Form
from weft.llvm.values import Value

from ..bounds import Linear, prune
from ..expr import Binary, Expr, Load, Var
from ..stmt import Buffer, Store
from .values import OPERATIONS, TYPES, Values, bytes_of

HORIZONTAL = {"add", "max", "min"}


class Statements(Values):
    """last: the largest value of a loop's variable, where it is known."""

    def __init__(self, form: Form, builder: ir.IRBuilder):
        super().__init__(form, builder)
        self.last: dict[Var, int] = {}

    def extent(self, e: Expr) -> int | None:
        """The number of turns where it is known, tails aside."""
        sums = [Linear.of(part) for part in _minima(self.known(e))]
        if None in sums or any(v not in self.last for s in sums for v, _ in s.terms):
            return None
        kept = prune(sums, self.last)
        return kept[0].constant if len(kept) == 1 and not kept[0].terms else None


    @contextmanager
    def knowing(self, var: Var, value: int | Value) -> Iterator[None]:
        self.env[var] = value
        yield
        del self.env[var]


    @contextmanager
    def in_lanes(self, var: Var, lanes: int) -> Iterator[None]:
        if self.lane is not None:
            raise WeftError(f"loop {var}", "no vectorised loop is within another", f"{self.lane} around",
                            "unroll for one of them")
        if lanes == 1:
            with self.knowing(var, 0):
                yield
            return
        self.lane, self.lanes = var, lanes
        yield
        self.lane, self.lanes = None, 0


    def store(self, stmt: Store):
        buffer, indices = stmt.buffer, stmt.indices
        in_registers = buffer in self.slots
        step = int(any(map(self.depends_on_lane, indices))) if in_registers else self.step(buffer, indices)
        if self.lanes and step == 0:
            return self._reduce_lanes(stmt)
        if self.lanes and step != 1:
            return self._scatter(stmt)
        value = self.stored(stmt.value, buffer)
        value = value.splat(self.lanes) if self.lanes and not value.lanes else value
        self.put(value, buffer, indices)


    def put(self, value: Value, buffer: Buffer, indices: tuple[Expr, ...]):
        """A value, or lanes that are neighbours, into its place or register."""
        if buffer in self.slots:
            self.builder.store(value.ir, self.slot(buffer, indices))
        else:
            self.written(buffer)
            self.pointer(buffer, indices).store(value, bytes_of(buffer.dtype))


    def stored(self, e: Expr, buffer: Buffer) -> Value:
        value = self.cast(self.value(e), e.dtype, buffer.dtype) if e.dtype != "bool" else self.value(e)
        if buffer.dtype == "bool":
            return value.zext(TYPES["bool"])
        return value


    def _scatter(self, stmt: Store):
        lane, lanes = self.lane, self.lanes
        self.lane, self.lanes = None, 0
        for k in range(lanes):
            with self.knowing(lane, k):
                self.store(stmt)
        self.lane, self.lanes = lane, lanes


    def _reduce_lanes(self, stmt: Store):
        """b[i] = op(b[i], x) over lanes of x."""
        value, own = stmt.value, Load(stmt.buffer, stmt.indices)
        if not (isinstance(value, Binary) and value.op in HORIZONTAL and value.a == own):
            raise WeftError(f"loop {self.lane}",
                            "lanes that meet in one value are added up, or the largest or smallest is taken", str(value),
                            "vectorise for a loop over data")
        x, operation = self.widened(value.b), OPERATIONS[value.op]
        x = x if x.lanes or not self.lanes else x.splat(self.lanes)
        while x.lanes > 1 and x.lanes % 2 == 0:
            half = x.lanes // 2
            x = operation(x.shuffle(list(range(half))), x.shuffle(list(range(half, x.lanes))))
        total = x.lane(0) if x.lanes else x
        for k in range(1, x.lanes):
            total = operation(total, x.lane(k))
        lanes = self.lane, self.lanes
        self.lane, self.lanes = None, 0
        total = operation(self.value(own), total)
        self.put(total, stmt.buffer, stmt.indices)
        self.lane, self.lanes = lanes


def _minima(e: Expr) -> list[Expr]:
    return [*_minima(e.a), *_minima(e.b)] if isinstance(e, Binary) and e.op == "min" else [e]
