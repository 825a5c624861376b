"""Operators on stored int8 values, point by point, exact as weft.runtime.kernels defines them."""

from collections.abc import Callable

import numpy as np

from ...expr import Expr
from ...graph import Graph, Node
from .. import lanes, pointwise
from ..layout import BIAS
from ..pointwise import lift, stored
from .registry import operator

SUMS: dict[str, tuple[int, Callable[..., Expr]]] = {  # how many inputs come before the lanes, and what is requantised
    "add": (2, lambda attrs, a, b: a * int(attrs["multipliers"][0]) + b * int(attrs["multipliers"][1])),
    "mul": (2, lambda attrs, a, b: (a - int(attrs["zero_points"][0])) * (b - int(attrs["zero_points"][1]))),
    "requantise": (1, lambda attrs, x: x),
}


def supports(node: Node, graph: Graph) -> str:
    return lanes.why_not(graph, node.inputs[SUMS[node.op][0]]) or parameters_are_constant(node, graph, SUMS[node.op][0])


def parameters_are_constant(node: Node, graph: Graph, first: int) -> str:
    """Why not, or "": those from that input on."""
    return "" if all(name in graph.constants for name in node.inputs[first:] if name) else "its parameters are not constant"


@operator(*SUMS, supports=supports)
def build(node, graph, views, form):
    """Sums, requantisation and the table behind it in one pass."""
    count, total = SUMS[node.op]
    out = node.outputs[0]
    names, lifted = node.inputs[:count], lift(graph, out, views[out])
    ending = lanes.lanes(graph, node.inputs[count], len(graph.tensors[out].shape))
    table = lanes.table(graph, node, count + 1, lifted)
    lifts = [lift(graph, name, views[name]) if name in views else 0 for name in names]

    def define(*values):
        looked_up = values[-1] if table else None
        inputs = [stored(x, lifted_) for x, lifted_ in zip(values, lifts)]
        whole = ending.quantised(total(node.attrs, *inputs), values[count:count + len(ending.arrays)])
        return lanes.finished(whole, looked_up, lifted)

    return pointwise.build(node, graph, views, [*names, *ending.arrays], define, table)


@operator("max", "min")
def extremes(node, graph, views, form):
    """Of two tensors, one value at a time."""
    out = node.outputs[0]
    lifts = [lift(graph, name, views[name]) if name in views else 0 for name in node.inputs]
    larger = {"max": np.maximum, "min": np.minimum}[node.op]

    def define(a, b):
        return larger(stored(a, lifts[0]), stored(b, lifts[1])) + lift(graph, out, views[out])

    return pointwise.build(node, graph, views, node.inputs, define)


@operator("lut", supports=lambda node, graph: parameters_are_constant(node, graph, 1))
def look_up(node, graph, views, form):
    """One load a value."""
    x, out = node.inputs[0], node.outputs[0]
    table = lanes.table(graph, node, 1, lift(graph, out, views[out]))
    define = lambda value, function: function(stored(value, lift(graph, x, views[x])) + BIAS)  # noqa: E731
    return pointwise.build(node, graph, views, [x], define, table, vectorise=False)
