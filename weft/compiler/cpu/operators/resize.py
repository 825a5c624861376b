"""Resizing of float32 by nearest neighbours and by straight lines: each value a sum of few, whose places and weights are
tables."""

import functools
import itertools

import numpy as np

from weft.runtime.kernels.resize import ratios, taps

from ...graph import Graph, Node
from .. import points
from ..pointwise import clamped
from .registry import operator

MODES = ("nearest", "linear")


def _parameter(node: Node, graph: Graph, position: int, name: str):
    if len(node.inputs) > position and node.inputs[position] and graph.constants[node.inputs[position]].size:
        return graph.constants[node.inputs[position]]
    return node.attrs.get(name)


def supports(node: Node, graph: Graph) -> str:
    dtype, mode = graph.tensors[node.inputs[0]].dtype, node.attrs.get("mode", "nearest")
    if dtype != "float32" or mode not in MODES:
        return f"the CPU resizes float32 by {' and '.join(MODES)}, not {dtype} by {mode}"
    return "" if all(name in graph.constants for name in node.inputs[1:] if name) else "its sizes are not constant"


@operator("Resize", supports=supports)
def build(node, graph, views, form):
    """One pass; an axis that stays as it is takes no part in the sums."""
    x, out = node.inputs[0], node.outputs[0]
    shape, made = graph.tensors[x].shape, graph.tensors[out].shape
    scales = ratios(shape, _parameter(node, graph, 2, "scales"), _parameter(node, graph, 3, "sizes"))
    changed = [axis for axis, (n, m, ratio) in enumerate(zip(shape, made, scales)) if (n, 1) != (m, ratio)]
    whole = points.whole(x, views[x])
    strides = tuple(0 if k in changed else s for k, s in enumerate(whole.strides))
    source = points.Moving(x, whole.dtype, strides, 0, whole.size, whole.before)
    sizes = points.extents(views[out], [(views[x], source.strides)])
    seen = [[_along(values, axis, len(shape))
             for values in _seen(node, scales[axis], shape[axis], made[axis], whole.strides[axis])] for axis in changed]
    tables = [points.given(f"${k}", table, sizes) for k, table in enumerate(table for axis in seen for table in axis)]

    def define(value, *tables):
        given = iter(tables)
        choices = [[(next(given), next(given)) for _ in range(len(axis) // 2)] for axis in seen]
        terms = []
        for chosen in itertools.product(*choices):
            place = functools.reduce(lambda a, b: a + b, (place for place, _ in chosen), 0)
            terms.append(functools.reduce(lambda a, b: a * b, (weight for _, weight in chosen), value(place)))
        return clamped(node.attrs, functools.reduce(lambda a, b: a + b, terms))

    return points.kernel(node.name, sizes, points.whole(out, views[out]), [source, *tables], define)


def _seen(node: Node, ratio, size: int, out: int, stride: int) -> list[np.ndarray]:
    """For each neighbour that an output sees: its place, int32 [out], and its weight, float32 [out]."""
    found = [list(one.items()) for one in taps(node.attrs, ratio, size, out)]
    arrays = []
    for k in range(max(map(len, found))):
        pairs = [one[k] if k < len(one) else (one[0][0], 0) for one in found]
        arrays.append(np.array([place * stride for place, _ in pairs], np.int32))
        arrays.append(np.array([float(weight) for _, weight in pairs], np.float32))
    return arrays


def _along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return values.reshape([-1 if k == axis else 1 for k in range(rank)])
