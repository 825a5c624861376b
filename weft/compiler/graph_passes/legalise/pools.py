"""Pools: the largest or the mean of windows."""

import dataclasses

import numpy as np

from weft.runtime.kernels.windows import pool_pads, resolve_pads

from ...graph import Graph, Node
from ..lanes import activation_range, scale_lanes, stored_average_lanes
from .common import Form, NotInteger, emit, requantise


def _max_pool(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if set(node.attrs.get("dilations", (1,))) != {1}:
        raise NotInteger("its dilations are not 1")
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
            "pads": (top, left, bottom + rows, right + columns)}


def _average_pool(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if len(source.shape) != 4:
        raise NotInteger("it does not have two spatial axes")
    attrs = {"kernel": source.shape[2:], "strides": (1, 1), "pads": (0, 0, 0, 0)}
    if node.op == "AveragePool":
        attrs = _window(node, source.shape)
    counted = bool(node.attrs.get("count_include_pad", 0))
    if any(attrs["pads"]) and not (counted and attrs["pads"] == resolve_pads(node.attrs, source.shape[2:], attrs["kernel"])):
        raise NotInteger("its windows at the edge count fewer values than the others")
    count = int(np.prod(attrs["kernel"]))
    if "origin" in node.attrs and source.quantisation == target.quantisation:
        lanes = stored_average_lanes(source.shape[1], count, graph.rounding, node.attrs["origin"])
    else:
        scale, bias = source.scale / target.scale / count, -count * source.zero_point
        lanes = scale_lanes(source.shape[1], scale, bias, target, {}, graph.rounding)
    lanes["minimum"], lanes["maximum"] = activation_range(target, node.attrs)
    qnt = graph.add_constant(f"{node.name}.qnt", lanes)
    emit(graph, node, "avg_pool", [node.inputs[0], qnt], attrs | {"pad_value": source.zero_point})


FORMS: dict[str, Form] = {"MaxPool": _max_pool, "AveragePool": _average_pool, "GlobalAveragePool": _average_pool}
