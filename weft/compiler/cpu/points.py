"""Kernels that make one value for each point of a tensor, of what they read at that point.

Whatever the layouts are, a point is met as a sum of strides in each tensor. Loops run in the order of the output's memory;
axes that lie one behind the other in all tensors are one loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .. import te
from ..expr import Const, Expr, Load, as_expr, binary
from ..interpret import strides_of
from ..lower import lower
from ..schedule import Schedule
from ..stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store
from ..te import map_expr
from .kernel import LANES, Kernel, View

SHARE = 1024  # values of a single loop that one turn of the parallel loop takes at least
TURNS = 64  # turns that a long single loop is cut into at most


@dataclass(frozen=True)
class Operand:
    """What a kernel reads or writes: at the point (i, j, ..) the value offset + strides[0] * i + strides[1] * j + .. behind
    the view's (0, 0, ..). size, before: how many values are there from that on, and before it. values: those of a
    constant."""

    name: str
    dtype: str
    strides: tuple[int, ...]
    offset: int
    size: int
    before: int = 0
    values: np.ndarray | None = None

    def placeholder(self, name: str) -> te.Tensor:
        """All of its memory as one axis."""
        return te.placeholder(name, {"at": self.size}, self.dtype, 0, (1,), (self.before,))

    def place(self, strides: Sequence[int], i: Sequence[Expr]) -> Expr:
        """Where it is met: the sum of its offset and of strides times loops."""
        place: Expr = as_expr(self.offset)
        for stride, axis in zip(strides, i, strict=True):
            if stride:
                sign = "add" if stride > 0 else "sub"
                place = binary(sign, place, binary("mul", axis, abs(stride)))
        return place


@dataclass(frozen=True)
class Moving(Operand):
    """An operand that is met a looked-up number of values further on: a kernel gets of it a function of that number, which
    may be an expression of int32."""

    def placeholder(self, name: str) -> te.Tensor:
        """Its memory, twice over the same axis: the places of a vector's lanes are neighbours still."""
        return te.placeholder(name, {"at": self.size, "on": self.size}, self.dtype, 0, (1, 1), (self.before, 0))


@dataclass(frozen=True)
class Table:
    """What is looked up at places that are values themselves: a kernel gets of it a function of an int32 expression, which
    counts from the view's (0, 0, ..). Fields as of Operand."""

    name: str
    dtype: str
    size: int
    before: int = 0
    values: np.ndarray | None = None

    placeholder = Operand.placeholder


def constant_table(name: str, values: np.ndarray) -> Table:
    return Table(name, values.dtype.name, values.size, 0, values.reshape(-1))


def looked_up(operand: Operand) -> Table:
    """The operand's memory as a table."""
    return Table(operand.name, operand.dtype, operand.size, operand.before, operand.values)


def whole(name: str, view: View) -> Operand:
    """A tensor along its own axes."""
    return Operand(name, view.dtype, view.strides, 0, view.elements - view.before, view.before)


def broadcast(operand: Operand, shape: Sequence[int], rank: int) -> Operand:
    """The operand of this shape along `rank` axes, by NumPy's rule."""
    strides = [stride if size > 1 else 0 for size, stride in zip(shape, operand.strides, strict=True)]
    return replace(operand, strides=(*[0] * (rank - len(shape)), *strides))


def constant(name: str, values: np.ndarray, sizes: Sequence[int]) -> Operand:
    """A constant array that broadcasts to the logical shape of a kernel's points; `sizes` may be larger than that: what lies
    beyond is 0."""
    values = np.asarray(values)
    shape = (1,) * (len(sizes) - values.ndim) + values.shape
    full = [size if n > 1 else 1 for n, size in zip(shape, sizes)]
    padded = np.zeros(full, values.dtype)
    padded[tuple(slice(n) for n in shape)] = values.reshape(shape)
    strides = [0 if n == 1 else prod(full[k + 1:]) for k, n in enumerate(full)]
    return Operand(name, values.dtype.name, tuple(strides), 0, padded.size, 0, padded.reshape(-1))


def given(name: str, values: np.ndarray, sizes: Sequence[int]) -> Operand | Expr:
    """A constant array likewise; a number where it has a single value."""
    return Const(values.reshape(-1)[0].item(), values.dtype.name) if values.size == 1 else constant(name, values, sizes)


def extents(view: View, others: Sequence[tuple[View, Sequence[int]]] = ()) -> tuple[int, ...]:
    """The sizes to loop over: the view's, and what is behind its axis of stride 1 up to whole vectors, where all have it.

    others: views that are read, and their strides along the axes of `view`.
    """
    sizes = list(view.shape)
    for axis, (stride, (_, high)) in enumerate(zip(view.strides, view.around)):
        if stride == 1 and high and (sizes[axis] + high) % LANES == 0:
            if all(not strides[axis] or strides[axis] == 1 and _behind(other) >= high for other, strides in others):
                sizes[axis] += high
    return tuple(sizes)


def _behind(view: View) -> int:
    """Values behind the axis of stride 1 that have memory."""
    return max((high for stride, (_, high) in zip(view.strides, view.around) if stride == 1), default=0)


@dataclass(frozen=True)
class Loop:
    """size turns; each goes on by strides[k] in the k-th operand."""

    size: int
    strides: tuple[int, ...]

    def holds(self, inner: "Loop") -> bool:
        """Whether the two are one loop in all operands."""
        return all(a == b * inner.size for a, b in zip(self.strides, inner.strides))


def loops(sizes: Sequence[int], operands: Sequence[Operand]) -> list[Loop]:
    """The fewest loops over these points, outermost first, in the order of the first operand's memory."""
    found = [Loop(size, strides) for size, *strides in zip(sizes, *(o.strides for o in operands)) if size > 1
             for strides in [tuple(strides)]]
    found.sort(key=lambda loop: -loop.strides[0])
    merged: list[Loop] = []
    for loop in found:
        if merged and merged[-1].holds(loop):
            loop = Loop(merged.pop().size * loop.size, loop.strides)
        merged.append(loop)
    return merged or [Loop(1, (1,) * len(operands))]


def kernel(name: str, sizes: Sequence[int], target: Operand, operands: Sequence[Operand | Table | Expr],
           define: Callable[..., Expr], vectorise: bool = True) -> Kernel:
    """The kernel that stores define(value of each operand) at every point.

    Parameters
    ----------
    target: what is written; two points must not share a place. operands: what is read; an expression stays one, tables and
        moving operands come as functions.
    vectorise: False where values are looked up in tables.
    """
    if vectorise and not any(isinstance(o, Table | Moving) for o in operands):
        from . import transposing  # of points too

        if made := transposing.kernel(name, sizes, target, operands, define):
            return made
    read = [o for o in operands if isinstance(o, Operand)]
    nest = shared(loops(sizes, [target, *read]))
    vectorise = vectorise and nest[-1].strides[0] == 1 and nest[-1].size % LANES == 0
    if vectorise:
        nest[-1:] = cut(nest[-1], LANES)
    tensors: dict[str, te.Tensor] = {}
    for operand in operands:
        if not isinstance(operand, Expr) and operand.name not in tensors:
            tensors[operand.name] = operand.placeholder(f"x{len(tensors)}")  # equal kernels are told by their text

    def at_point(*i: te.Axis) -> Expr:
        strides = iter([[loop.strides[k] for loop in nest] for k in range(1, len(read) + 1)])
        values = []
        for o in operands:
            if isinstance(o, Moving):
                values.append(lambda on, tensor=tensors[o.name], place=o.place(next(strides), i): tensor[place, on])
            elif isinstance(o, Operand):
                values.append(tensors[o.name][o.place(next(strides), i)])
            else:
                values.append(o if isinstance(o, Expr) else tensors[o.name].__getitem__)
        return define(*values).astype(target.dtype)

    axes = {f"i{k}": loop.size for k, loop in enumerate(nest)}
    y = te.compute("y", axes, at_point, 0, tuple(loop.strides[0] for loop in nest))
    schedule = Schedule(y)
    if vectorise:
        schedule[y].vectorise(y.axes[-1])
    schedule[y].parallel(y.axes[0])
    program = lower(schedule, name, {**tensors, target.name: y})
    if target.offset:
        program = moved(program, target)
    return Kernel(name, program, nest[0].size, 
                  {o.name: o.values for o in operands if not isinstance(o, Expr) and o.values is not None})


def shared(nest: list[Loop]) -> list[Loop]:
    """A single long loop as two, so that threads can share it: whole vectors each where that is possible."""
    if len(nest) > 1 or nest[0].size < 2 * SHARE:
        return nest
    only = nest[0]
    for unit in (LANES, 1):
        turns = [t for t in range(2, TURNS + 1) if only.size % (t * unit) == 0]
        if turns:
            return [*cut(only, only.size // turns[-1])]
    return nest


def cut(loop: Loop, inner: int) -> tuple[Loop, Loop]:
    return Loop(loop.size // inner, tuple(s * inner for s in loop.strides)), Loop(inner, loop.strides)


def moved(program: LoopProgram, target: Operand) -> LoopProgram:
    """The program, which writes from the target's offset on and not at its begin."""
    old = program.arguments[target.name]
    new = Buffer(old.name, (target.size,), old.dtype, old.scope, 0, strides=(1,), low=(target.before,))
    strides = strides_of(old)

    def change(stmt: Stmt) -> Stmt:
        match stmt:
            case Seq(body):
                return Seq([change(s) for s in body])
            case For():
                return For(stmt.var, stmt.extent, change(stmt.body), stmt.kind, stmt.tensorize)
            case Alloc(buffer, body):
                return Alloc(buffer, change(body))
            case If(condition, body):
                return If(condition, change(body))
            case Store(buffer, indices, value):
                value = map_expr(value, lambda e: Load(new, (target.place(strides, e.indices),))
                                 if isinstance(e, Load) and e.buffer is old else e)
                mine = buffer is old
                return Store(new if mine else buffer, (target.place(strides, indices),) if mine else indices, value)
        return stmt

    return LoopProgram(program.name, {**program.arguments, target.name: new}, change(program.body))
