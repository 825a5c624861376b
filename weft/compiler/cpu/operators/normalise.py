"""Normalisations of float32: over rows, and channel by channel."""

from dataclasses import replace

import numpy as np

from ...expr import call
from ...graph import Graph, Node
from .. import access, points, pointwise, rows
from ..pointwise import clamped
from .real import is_float32
from .registry import operator


def _constant_scales(node: Node, graph: Graph) -> str:
    if any(name not in graph.constants for name in node.inputs[1:] if name):
        return "its parameters are not constant"
    return is_float32(node, graph)


def _rows(node, graph, views, shape, axis):
    """Rows over all axes from `axis`, which must lie one behind the other."""
    x, out = node.inputs[0], node.outputs[0]
    length = int(np.prod(shape[axis:]))
    if axis == len(shape) - 1:
        return rows.along_axis(points.whole(x, views[x]), points.whole(out, views[out]), shape, axis)
    operands = []
    for name in (out, x):
        met = access.of(views[name]).reshape((*shape[:axis], length))
        assert met is not None and all(len(a) <= 1 for a in met.axes)
        operands.append(replace(points.whole(name, views[name]), strides=tuple(a[0][1] if a else 0 for a in met.axes)))
    return rows.Row(tuple(shape[:axis]), *operands, length)


@operator("LayerNormalization", supports=_constant_scales)
def layer(node, graph, views, form):
    """In float64, as NumPy's, so that what is quantised afterwards is the same: the mean, the mean square of what is left,
    and both applied."""
    shape = graph.tensors[node.inputs[0]].shape
    axis = node.attrs.get("axis", -1) % len(shape)
    row = _rows(node, graph, views, shape, axis)
    parameters = {f"${k}": np.broadcast_to(graph.constants[name], shape[axis:]).reshape(-1).astype(np.float32)
                  for k, name in enumerate(node.inputs[1:]) if name}
    made = rows.Rows(node.name, row, [points.constant_table(name, values) for name, values in parameters.items()])
    wide = lambda k: made.value(k).astype("float64")  # noqa: E731
    total = made.reduce("total", "add", 0.0, wide)
    centred = made.keep("centred", lambda k: wide(k) - total() / float(row.length))
    squares = made.reduce("squares", "add", 0.0, lambda k: centred(k) * centred(k))

    def finished(k):
        y = centred(k) / call("sqrt", squares() / float(row.length) + node.attrs.get("epsilon", 1e-5))
        y = y * made.constant("$0")(k).astype("float64")
        y = y + made.constant("$1")(k).astype("float64") if "$1" in parameters else y
        return clamped(node.attrs, y.astype("float32"))

    return made.finish(finished)


@operator("BatchNormalization", supports=_constant_scales)
def batch(node, graph, views, form):
    """One multiplication and one addition, by factors of the channel."""
    scale, bias, mean, variance = (graph.constants[name] for name in node.inputs[1:5])
    factor = (scale / np.sqrt(variance + np.float32(node.attrs.get("epsilon", 1e-5)))).astype(np.float32)
    shape = (-1,) + (1,) * (len(graph.tensors[node.inputs[0]].shape) - 2)
    names = [node.inputs[0], factor.reshape(shape), (bias - mean * factor).astype(np.float32).reshape(shape)]
    return pointwise.build(node, graph, views, names, lambda x, a, b: clamped(node.attrs, x * a + b))
