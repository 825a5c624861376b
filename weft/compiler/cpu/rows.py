"""Kernels over rows: each row of values is reduced, and made anew from its values and the reductions (softmax,
normalisations).

What a row needs lives on the stack and in registers. Where its values are neighbours, they are taken LANES at a time: a
reduction goes on in each lane, and the lanes meet at its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .. import te
from ..expr import Expr, binary
from ..lower import lower
from ..schedule import Schedule
from ..te import Axis, Tensor
from . import points
from .kernel import LANES, Kernel
from .points import Operand, Table
from .reductions import OPERATIONS

Value = Callable[[Expr], Expr]  # of a position in the row


@dataclass(frozen=True)
class Row:
    """Where a node's rows lie.

    sizes: of the loops over rows. target, source: strides along these, then along a row. length: of a row.
    """

    sizes: tuple[int, ...]
    target: Operand
    source: Operand
    length: int


def along_axis(source: Operand, target: Operand, shape: Sequence[int], axis: int) -> Row:
    """Rows along an axis of two tensors of one shape."""
    rest = [k for k in range(len(shape)) if k != axis % len(shape)]
    order = [*rest, axis % len(shape)]
    places = [replace(o, strides=tuple(o.strides[k] for k in order)) for o in (target, source)]
    return Row(tuple(shape[k] for k in rest), *places, shape[axis])


class Rows:
    """A kernel in the making: `reduce`, `keep` and `finish` take values as functions of a position in the row."""

    def __init__(self, name: str, row: Row, constants: Sequence[Operand | Table] = ()):
        """constants: what lies along the row, or is looked up; their values are functions of a position."""
        self.name, self.row = name, row
        self.nest = points.loops(row.sizes, [_outer(row.target), _outer(row.source)])
        self.along = row.source.strides[-1] == 1 and row.target.strides[-1] == 1 and row.length >= LANES
        self.tensors = {row.source.name: row.source.placeholder("x")}
        for k, constant in enumerate(constants):
            self.tensors[constant.name] = constant.placeholder(f"c{k}")
        self.constants = {c.name: c.values for c in constants}
        self.stages: list[tuple[Tensor, bool, str]] = []  # each with whether its last axis is of lanes, and its scope
        self.point: tuple[Axis, ...] = ()

    @property
    def axes(self) -> dict[str, int]:
        return {f"i{k}": loop.size for k, loop in enumerate(self.nest)}

    def value(self, position: Expr) -> Expr:
        """Of the source."""
        source = self.row.source
        strides = [*(loop.strides[1] for loop in self.nest), source.strides[-1]]
        return self.tensors[source.name][source.place(strides, [*self.point, position])]

    def constant(self, name: str) -> Value:
        return self.tensors[name].__getitem__

    def _compute(self, name: str, more: dict[str, int], define: Callable[..., Expr], lanes: bool, scope: str) -> Tensor:
        def at(*i: Axis):
            self.point = i[:len(self.nest)]
            return define(*i[len(self.nest):])

        made = te.compute(name, self.axes | more, at, 0)
        self.stages.append((made, lanes, scope))
        return made

    def reduce(self, name: str, operation: str, init: float, value: Value) -> Callable[[], Expr]:
        """A reduction over the row; it is read by a call."""
        combine, blocks = OPERATIONS[operation], self.row.length // LANES if self.along else 0
        rest = self.row.length - blocks * LANES
        if rest:
            k = te.reduce_axis("k", rest)
            tail = self._compute(f"{name}_rest", {}, lambda: combine(value(binary("add", k, blocks * LANES)), [k], init),
                                 False, "reg")
            if not blocks:
                return lambda: tail[self.point]
        if blocks:
            k = te.reduce_axis("k", blocks)
            parts = self._compute(f"{name}_lanes", {"l": LANES}, lambda lane: combine(value(k * LANES + lane), [k], init),
                                  True, "reg")
        lane = te.reduce_axis("l", LANES)
        whole = self._compute(name, {}, lambda: combine(parts[(*self.point, lane)], [lane],
                                                        tail[self.point] if rest else init), True, "reg")
        return lambda: whole[self.point]

    def keep(self, name: str, value: Value) -> Value:
        """Values of the row that are read more than once."""
        made = self._compute(name, {"k": self.row.length}, value, self.along, "local")
        return lambda position: made[(*self.point, position)]

    def finish(self, value: Value) -> Kernel:
        target = self.row.target
        strides = (*(loop.strides[0] for loop in self.nest), target.strides[-1])

        def at(*i: Axis):
            self.point = i[:-1]
            return value(i[-1]).astype(target.dtype)

        y = te.compute("y", self.axes | {"k": self.row.length}, at, 0, strides)
        schedule = Schedule(y)
        _in_lanes(schedule[y], y.axes[-1], self.along)
        schedule[y].parallel(y.axes[0])
        for made, lanes, scope in self.stages:
            stage = schedule[made]
            stage.set_scope(scope)
            stage.compute_at(schedule[y], y.axes[-2])
            if scope == "local":
                _in_lanes(stage, made.axes[-1], lanes)
            elif lanes and len(made.axes) > len(self.nest):
                stage.reorder(*stage.reduce_axes, made.axes[-1])
                stage.vectorise(made.axes[-1])
            elif lanes:
                stage.vectorise(stage.reduce_axes[-1])
        program = lower(schedule, self.name, {**self.tensors, target.name: y})
        return Kernel(self.name, program, self.nest[0].size, self.constants)


def _outer(operand: Operand) -> Operand:
    return replace(operand, strides=operand.strides[:-1])


def _in_lanes(stage, axis: Axis, along: bool) -> None:
    if along:
        _, lane = stage.split(axis, LANES)
        stage.vectorise(lane)
