"""Softmax of stored integers, exact as weft.runtime.kernels defines it, and of real numbers."""

import math

import numpy as np

from ...expr import call
from ...graph import Graph, Node
from .. import points, rows
from ..pointwise import clamped, lift
from .real import is_float32
from .registry import operator


def _rows(node, graph, views, axis, constants=()):
    x, out = node.inputs[0], node.outputs[0]
    row = rows.along_axis(points.whole(x, views[x]), points.whole(out, views[out]), graph.tensors[x].shape, axis)
    return rows.Rows(node.name, row, constants)


@operator("Softmax", supports=is_float32)
def real(node, graph, views, form):
    """exp(x - largest), divided by the sum of these."""
    made = _rows(node, graph, views, node.attrs.get("axis", -1))
    largest = made.reduce("largest", "max", -math.inf, made.value)
    shares = made.keep("shares", lambda k: call("exp", made.value(k) - largest()))
    total = made.reduce("total", "add", 0.0, shares)
    return made.finish(lambda k: clamped(node.attrs, shares(k) / total()))


def _constant_table(node: Node, graph: Graph) -> str:
    dtype = node.attrs["dtype"]
    if node.inputs[1] not in graph.constants:
        return "its parameters are not constant"
    return "" if dtype in ("int8", "uint8") else f"the CPU computes softmax as int8 and uint8, not {dtype}"


@operator("softmax", supports=_constant_table)
def stored(node, graph, views, form):
    """Weights out of a table; sums and quotients in float64, which holds them."""
    attrs, out = node.attrs, node.outputs[0]
    table = points.constant_table("$table", graph.constants[node.inputs[1]].astype(np.int32))
    made = _rows(node, graph, views, attrs["axis"], [table])
    largest = made.reduce("largest", "max", -128, lambda k: made.value(k).astype("int32"))
    weights = made.keep("weights", lambda k: made.constant("$table")(largest() - made.value(k)).astype("float64"))
    total = made.reduce("total", "add", 0.0, weights)
    info, zero, even = np.iinfo(attrs["dtype"]), int(attrs["zero_point"]), attrs["rounding"] == "half_even"

    def share(k):
        quotient = weights(k) / (total() * float(attrs["scale"]))
        # shares are not negative, so that the cast rounds down what was raised by a half
        whole = call("round", quotient) if even else quotient + 0.5
        return np.minimum(whole, float(info.max - zero)).astype("int32") + (zero + lift(graph, out, views[out]))

    return made.finish(share)
