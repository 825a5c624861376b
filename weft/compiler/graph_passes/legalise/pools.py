"""Pools: the largest or the mean of windows."""

import dataclasses
import math

from weft.runtime.kernels.windows import pool_pads

from ...graph import Graph, Node
from ..lanes import activation_range, scale_lanes, stored_average_lanes
from . import runs
from .common import Form, NotInteger, emit, requantise


def _max_pool(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if len(source.shape) != 4:
        raise NotInteger("it does not have two spatial axes")
    attrs = _window(node, source.shape)
    if source.quantisation == target.quantisation:
        low, high = activation_range(target, node.attrs)
        limits = {"minimum": low, "maximum": high} if (low, high) != (-128, 127) else {}
        emit(graph, node, "max_pool", node.inputs, attrs | limits)
    else:
        pooled = graph.add_tensor(f"{node.outputs[0]}.pooled", dataclasses.replace(source, shape=target.shape))
        emit(graph, node, "max_pool", node.inputs, attrs, pooled)
        requantise(graph, node, pooled, node.attrs)


def _window(node: Node, shape: tuple[int, ...]) -> dict:
    """Attributes of a pool. What ceil_mode adds is padding too."""
    kernel = tuple(node.attrs["kernel_shape"])
    (top, left, bottom, right), (rows, columns) = pool_pads(node.attrs, shape[2:], kernel)
    return {"kernel": kernel, "strides": tuple(node.attrs.get("strides", (1, 1))),
            "pads": (top, left, bottom + rows, right + columns), "dilations": tuple(node.attrs.get("dilations", (1, 1)))}


def _average_pool(graph: Graph, node: Node) -> None:
    """Windows that count fewer values, at an edge whose padding does not count, are pieces with a divisor of their own."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if len(source.shape) != 4:
        raise NotInteger("it does not have two spatial axes")
    axes = tuple(runs.runs([(0, (0,) * n)], 1) for n in source.shape[2:])
    if node.op == "AveragePool":
        axes = tuple(runs.runs(_counted(node, source.shape, d, target.shape[2 + d]), 1) for d in (0, 1))

    def piece(rows: runs.Run, columns: runs.Run) -> tuple[list[str], dict]:
        kernel = len(rows.taps), len(columns.taps)
        return [_average_lanes(graph, node, math.prod(kernel))], {"kernel": kernel, "pad_value": source.zero_point}

    runs.add_pieces(graph, node, "avg_pool", source.shape, axes, piece, {}, node.outputs[0])


def _counted(node: Node, shape: tuple[int, ...], axis: int, out: int) -> list[tuple[int, tuple]]:
    """For each output the first row of its window and as many taps as the window has values that count."""
    kernel, strides = tuple(node.attrs["kernel_shape"]), tuple(node.attrs.get("strides", (1, 1)))
    pads, _ = pool_pads(node.attrs, shape[2:], kernel)
    padded = bool(node.attrs.get("count_include_pad", 0))
    low, high = (-pads[axis], shape[2 + axis] + pads[axis + 2]) if padded else (0, shape[2 + axis])
    windows = []
    for o in range(out):
        begin = o * strides[axis] - pads[axis]
        count = min(begin + kernel[axis], high) - max(begin, low)
        if count < 1:
            raise NotInteger("a window has no value that counts")
        windows.append((max(begin, low), (0,) * count))
    return windows


def _average_lanes(graph: Graph, node: Node, count: int) -> str:
    """The name of the lanes that make means of sums of so many values."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if "origin" in node.attrs and source.quantisation == target.quantisation:
        lanes = stored_average_lanes(source.shape[1], count, graph.rounding, node.attrs["origin"])
    else:
        scale, bias = source.scale / target.scale / count, -count * source.zero_point
        lanes = scale_lanes(source.shape[1], scale, bias, target, {}, graph.rounding)
    lanes["minimum"], lanes["maximum"] = activation_range(target, node.attrs)
    return graph.add_constant(f"{node.name}.qnt", lanes)


FORMS: dict[str, Form] = {"MaxPool": _max_pool, "AveragePool": _average_pool, "GlobalAveragePool": _average_pool}
