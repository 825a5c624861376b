"""Kernels that combine several values of a tensor for each value of the output: pools, and reductions over axes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .. import te
from ..expr import Expr
from ..lower import lower
from ..schedule import Schedule
from . import points
from .kernel import LANES, Kernel
from .points import Loop, Operand

OPERATIONS = {"add": te.sum, "max": te.max, "min": te.min}


def kernel(name: str, sizes: Sequence[int], target: Operand, source: Operand, over: Sequence[tuple[int, int]],
           operation: str, init: float, value: Callable[[Expr], Expr], others: Sequence[Operand | Expr],
           define: Callable[..., Expr]) -> Kernel:
    """The kernel that stores define(total, values of the others..) at every point.

    Parameters
    ----------
    source: what is combined; its strides are along the output's axes. over: (how many values, how far apart) of each loop of
        the reduction. operation: 'add', 'max' or 'min', from `init`, of value(x).
    """
    read = [source, *(o for o in others if isinstance(o, Operand))]
    nest = points.shared(points.loops(sizes, [target, *read]))
    along = nest[-1].strides[0] == 1 and nest[-1].size % LANES == 0 and nest[-1].strides[1] in (0, 1)
    if along:
        nest[-1:] = points.cut(nest[-1], LANES)
    over = (list(over) if along else _with_lanes(over)) or [(1, 0)]
    tensors = {o.name: o.placeholder(f"x{k}") for k, o in enumerate(read)}
    axes = {f"i{k}": loop.size for k, loop in enumerate(nest)}
    inner = [te.reduce_axis(f"k{k}", size) for k, (size, _) in enumerate(over)]

    def combined(*i: te.Axis) -> te.Reduce:
        strides = [*_strides(nest, 1), *(stride for _, stride in over)]
        return OPERATIONS[operation](value(tensors[source.name][source.place(strides, [*i, *inner])]), inner, init)

    total = te.compute("total", axes, combined, 0)

    def finished(*i: te.Axis) -> Expr:
        position, values = 2, []
        for o in others:
            values.append(tensors[o.name][o.place(_strides(nest, position), i)] if isinstance(o, Operand) else o)
            position += isinstance(o, Operand)
        return define(total[i], *values).astype(target.dtype)

    y = te.compute("y", axes, finished, 0, tuple(_strides(nest, 0)))
    schedule = Schedule(y)
    _place(schedule, y, total, along, over[-1] == (LANES, 1) and not along)
    program = lower(schedule, name, {**tensors, target.name: y})
    constants = {o.name: o.values for o in read if o.values is not None}
    return Kernel(name, points.moved(program, target) if target.offset else program, nest[0].size, constants)


def _strides(nest: Sequence[Loop], operand: int) -> list[int]:
    return [loop.strides[operand] for loop in nest]


def _with_lanes(over: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """A reduction along neighbours, its innermost loop over whole vectors if that is possible."""
    found = sorted(over, key=lambda one: -one[1])
    if found and found[-1][1] == 1 and found[-1][0] % LANES == 0:
        found[-1:] = [(found[-1][0] // LANES, LANES), (LANES, 1)]
    return found


def _place(schedule: Schedule, y: te.Tensor, total: te.Tensor, along: bool, across: bool) -> None:
    """Computes the total within the innermost loop of the output that is no lane."""
    stage, out = schedule[total], schedule[y]
    out.parallel(y.axes[0])
    if along:
        lane = total.axes[-1]
        stage.reorder(*stage.reduce_axes, lane)
        stage.vectorise(lane)
        out.vectorise(y.axes[-1])
    elif across:
        stage.vectorise(stage.reduce_axes[-1])
    stage.set_scope("reg")
    at = y.axes[-2 if along else -1]
    stage.compute_at(out, at)


def over_axes(operand: Operand, axes: Sequence[int], shape: Sequence[int]) -> tuple[Operand, list[tuple[int, int]]]:
    """The operand with these axes left standing at 0, and the loops over them."""
    over = [(shape[axis], operand.strides[axis]) for axis in axes if shape[axis] > 1]
    strides = tuple(0 if axis in axes else stride for axis, stride in enumerate(operand.strides))
    return replace(operand, strides=strides), over
