"""Pools and reductions over axes: of int8 exact as weft.runtime.kernels defines them, of float32 ONNX's."""

import math
from dataclasses import replace

import numpy as np

from weft.runtime.kernels.windows import pool_pads

from ...graph import Graph, Node
from .. import lanes, points, reductions
from ..kernel import View
from ..pointwise import clamped, lift
from ..points import Operand
from .moves import parameter
from .real import is_float32
from .registry import operator


def window(name: str, view: View, kernel, strides, pads, dilations) -> tuple[Operand, list[tuple[int, int]]]:
    """The first value of each window as an operand along the output's axes, and the loops over the window."""
    batch, channel, row, column = view.strides
    whole = points.whole(name, view)
    along = (batch, channel, row * strides[0], column * strides[1])
    over = [(size, stride * step) for size, stride, step in zip(kernel, (row, column), dilations)]
    return replace(whole, strides=along, offset=-pads[0] * row - pads[1] * column), over


def _pool(node, graph, views, geometry, operation, init, value, others, define):
    """A pool of the node's first input; geometry: kernel, strides, pads, dilations."""
    x, out = node.inputs[0], node.outputs[0]
    source, over = window(x, views[x], *geometry)
    sizes = points.extents(views[out], [(views[x], source.strides)])
    constants = [points.given(f"${k}", values, sizes) for k, values in enumerate(others)]
    target = points.whole(out, views[out])
    return reductions.kernel(node.name, sizes, target, source, over, operation, init, value, constants, define)


@operator("max_pool")
def max_pool(node, graph, views, form):
    """What is around the input is smaller than anything in it."""
    attrs, out = node.attrs, node.outputs[0]
    geometry = attrs["kernel"], attrs["strides"], attrs["pads"], attrs.get("dilations", (1, 1))
    down, up = lift(graph, node.inputs[0], views[node.inputs[0]]), lift(graph, out, views[out])
    low, high = attrs.get("minimum", -128) + down, attrs.get("maximum", 127) + down

    def define(total):
        clamp = np.minimum(np.maximum(total, low), high) if {"minimum", "maximum"} & set(attrs) else total
        return clamp + (up - down) if up != down else clamp

    return _pool(node, graph, views, geometry, "max", -128 + down, lambda x: x.astype("int32"), [], define)


@operator("avg_pool", supports=lambda node, graph: lanes.why_not(graph, node.inputs[1]))
def avg_pool(node, graph, views, form):
    """Sums, with what is around the input, and requantisation."""
    attrs, out = node.attrs, node.outputs[0]
    ending = lanes.lanes(graph, node.inputs[1], len(graph.tensors[out].shape))
    too_much = lift(graph, node.inputs[0], views[node.inputs[0]]) * math.prod(attrs["kernel"])

    def define(total, *parameters):
        return ending.quantised(total - too_much, parameters) + lift(graph, out, views[out])

    return _pool(node, graph, views, (attrs["kernel"], attrs["strides"], attrs["pads"], (1, 1)), "add", 0,
                 lambda x: x.astype("int32"), ending.arrays, define)


def _two_axes(node: Node, graph: Graph) -> str:
    rank = len(graph.tensors[node.inputs[0]].shape)
    return is_float32(node, graph) or ("" if rank == 4 else f"the CPU pools along rows and columns, not {rank - 2} axes")


def _onnx_window(node: Node, graph: Graph):
    attrs, size = node.attrs, graph.tensors[node.inputs[0]].shape[2:]
    kernel = attrs["kernel_shape"]
    pads, extra = pool_pads(attrs, size, kernel)
    return kernel, attrs.get("strides", (1, 1)), pads, attrs.get("dilations", (1, 1)), extra


@operator("MaxPool", supports=_two_axes)
def onnx_max_pool(node, graph, views, form):
    *geometry, _ = _onnx_window(node, graph)
    return _pool(node, graph, views, geometry, "max", -math.inf, lambda x: x, [], lambda total: clamped(node.attrs, total))


def counted(node: Node, graph: Graph) -> np.ndarray:
    """float32 [OH, OW]: how many values of each window count."""
    kernel, strides, pads, dilations, extra = _onnx_window(node, graph)
    found = []
    for axis, size in enumerate(graph.tensors[node.inputs[0]].shape[2:]):
        inside = np.ones(size, np.float32)
        padded = np.pad(inside, (pads[axis], pads[axis + 2]), constant_values=node.attrs.get("count_include_pad", 0))
        padded = np.pad(padded, (0, extra[axis]))
        first = np.arange(graph.tensors[node.outputs[0]].shape[2 + axis]) * strides[axis]
        found.append(sum(padded[first + k * dilations[axis]] for k in range(kernel[axis])))
    return found[0][:, None] * found[1]


@operator("AveragePool", supports=_two_axes)
def onnx_average_pool(node, graph, views, form):
    *geometry, _ = _onnx_window(node, graph)
    return _pool(node, graph, views, geometry, "add", 0.0, lambda x: x, [counted(node, graph)],
                 lambda total, count: clamped(node.attrs, total / count))


def _axes(node: Node, graph: Graph) -> tuple[int, ...]:
    """Those that are reduced."""
    rank = len(graph.tensors[node.inputs[0]].shape)
    if node.op.startswith("Global"):
        return tuple(range(2, rank))
    axes = parameter(node, graph, 1, "axes")
    return tuple(range(rank)) if axes is None else tuple(sorted(int(a) % rank for a in axes))


def _reduces(node: Node, graph: Graph) -> str:
    dtypes = {graph.tensors[name].dtype for name in (node.inputs[0], node.outputs[0])}
    if dtypes != {"float32"}:
        return f"the CPU computes {node.op} in float32, not {', '.join(sorted(dtypes - {'float32'}))}"
    return "" if all(name in graph.constants for name in node.inputs[1:] if name) else "its axes are not constant"


@operator("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", supports=_reduces)
def reduce(node, graph, views, form):
    """Means are of sums in float64."""
    x, out = node.inputs[0], node.outputs[0]
    shape, axes = graph.tensors[x].shape, _axes(node, graph)
    source, over = reductions.over_axes(points.whole(x, views[x]), axes, shape)
    if len(graph.tensors[out].shape) < len(shape):
        source = replace(source, strides=tuple(s for axis, s in enumerate(source.strides) if axis not in axes))
    sizes = points.extents(views[out], [(views[x], source.strides)])
    target = points.whole(out, views[out])
    if "Max" in node.op:
        return reductions.kernel(node.name, sizes, target, source, over, "max", -math.inf, lambda v: v, [],
                                 lambda total: clamped(node.attrs, total))
    count = math.prod(shape[axis] for axis in axes)
    return reductions.kernel(node.name, sizes, target, source, over, "add", 0.0, lambda v: v.astype("float64"), [],
                             lambda total: clamped(node.attrs, (total / float(count)).astype("float32")))
