"""Loops that the schedule asks to become something of the CPU's: sums of products of bytes, and squares turned in
registers."""

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.values import I32, Value, vector

from ..expr import Binary, Cast, Load, Var
from ..stmt import For, Store, text
from .dot import dot4
from .statements import Statements


class Tensorised(Statements):
    """The loops 'dot4' and 'transpose'; see emit.py."""

    def dot4(self, stmt: For):
        """for l: for k in range(4): sums[l] = sums[l] + int32(a) * int32(b), one of them uint8 and the other int8."""
        inner = stmt.body
        store = inner.body if isinstance(inner, For) else None
        operands = _product(store) if isinstance(store, Store) else None
        lanes = self.extent(stmt.extent)
        if operands is None or lanes is None or self.extent(inner.extent) != 4:
            raise WeftError(f"loop {stmt.var}", "dot4 is a loop over lanes of sums of four products of uint8 and int8",
                            text(stmt.body), "reorder, or a reduction axis of 4")
        if lanes <= 0:  # what a vector would have beyond the end
            return
        with self.in_lanes(stmt.var, lanes):
            total = self._load(store.buffer, store.indices)
            bytes_ = [self._four(operand, inner.var) for operand in operands]
            result = dot4(self.form, total, *bytes_) if lanes > 1 else dot4(self.form, total.splat(1), *bytes_).lane(0)
            self.put(result, store.buffer, store.indices)


    def transpose(self, stmt: For):
        """for i: for lane l: y[.. + l] = value, which is read along i: vectors along i, and of them those along l."""
        inner = stmt.body
        store = inner.body if isinstance(inner, For) else None
        rows, lanes = self.extent(stmt.extent), self.extent(inner.extent) if isinstance(inner, For) else None
        if not isinstance(store, Store) or rows is None or lanes is None or lanes & lanes - 1 or not 0 < rows <= lanes:
            raise WeftError(f"loop {stmt.var}", "transpose is a loop over rows of a square of lanes, a power of two",
                            text(stmt.body), "a split by the lanes")
        columns = []
        for lane in range(lanes):
            with self.knowing(inner.var, lane), self.in_lanes(stmt.var, rows):
                value = self.stored(store.value, store.buffer)
                columns.append(value if value.lanes else value.splat(rows))
        for row, value in enumerate(turned(columns)[:rows]):
            with self.knowing(stmt.var, row), self.in_lanes(inner.var, lanes):
                self.put(value, store.buffer, store.indices)


    def _four(self, operand: Load, k: Var) -> Value:
        """Four bytes along k, as an int32 in each lane."""
        total, rest = self.flat(operand.buffer, operand.indices)
        step = total.coefficient(self.lane)
        if rest or total.coefficient(k) != 1 or step not in (0, 4):
            raise WeftError(f"loop {self.lane}", "dot4 reads four neighbouring bytes, and lanes the same or the next four",
                            str(operand), "weights packed by four")
        with self.knowing(k, 0):
            kind, spread = (vector(I32, self.lanes), 0) if step else (I32, self.lanes)
            return self.once(operand.buffer, operand.indices, kind, 1, spread)


def turned(columns: list[Value]) -> list[Value]:
    """Value l of column i as value i of row l; as many rows as columns, a power of two. Rows beyond the columns' lanes are
    anything."""
    lanes = len(columns)
    if columns[0].lanes < lanes:
        columns = [column.shuffle([k % column.lanes for k in range(lanes)]) for column in columns]
    half = lanes // 2
    step = 1
    while step < lanes:  # each time halves of all vectors are woven
        pairs = list(zip(columns[:half], columns[half:]))
        columns = [woven(a, b, first) for a, b in pairs for first in (0, half)]
        step *= 2
    return columns


def woven(a: Value, b: Value, first: int) -> Value:
    """Half of the lanes of two vectors, from `first` on, by turns."""
    order = [first + k // 2 + (k % 2) * a.lanes for k in range(a.lanes)]
    mask = ir.Constant(vector(I32, a.lanes), [I32(k) for k in order])
    return Value(a.builder, a.builder.shuffle_vector(a.ir, b.ir, mask))


def _product(store: Store) -> tuple[Load, Load] | None:
    """(of uint8, of int8) where the store adds their product."""
    value = store.value
    if not (isinstance(value, Binary) and value.op == "add" and value.a == Load(store.buffer, store.indices)
            and isinstance(value.b, Binary) and value.b.op == "mul"):
        return None
    sides = [side.a if isinstance(side, Cast) and side.to == "int32" else side for side in (value.b.a, value.b.b)]
    by_dtype = {side.dtype: side for side in sides if isinstance(side, Load)}
    return (by_dtype["uint8"], by_dtype["int8"]) if set(by_dtype) == {"uint8", "int8"} else None
