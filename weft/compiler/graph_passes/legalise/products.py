"""Convolutions and matrix products: weights, biases and scales become int8 weights and lanes."""

import numpy as np

from weft.runtime.kernels.windows import resolve_pads

from ...graph import Graph, Node
from ..lanes import product_lanes
from ..weight_parts import split
from .common import Form, NotInteger, emit


def _weights(graph: Graph, node: Node, rows: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(weights with the output channel first and zero point 0, their scales as float64 [O]); int16 where there was
    another."""
    name = node.inputs[1]
    type_, axis = graph.tensors[name], 0 if rows else 1
    if name not in graph.constants or type_.dtype != "int8" or not type_.quantised:
        raise NotInteger("its weights are not constant int8")
    if type_.axis not in (None, axis):
        raise NotInteger(f"its weights have a scale along axis {type_.axis}")
    values = without_zero_point(graph, name)
    values = values if rows else np.ascontiguousarray(values.T)
    return values, np.broadcast_to(np.float64(type_.scale), len(values))


def without_zero_point(graph: Graph, name: str) -> np.ndarray:
    """A quantised constant less its zero point: int8 as it is stored where that is 0, else int16."""
    type_, values = graph.tensors[name], graph.constants[name]
    zero_point = np.asarray(type_.zero_point)
    if not zero_point.any():
        return values
    along = [-1 if i == type_.axis else 1 for i in range(values.ndim)]
    return values - (zero_point.reshape(along) if zero_point.ndim else zero_point).astype(np.int16)


def bias_of(graph: Graph, node: Node, step: np.ndarray) -> np.ndarray:
    """The bias, float64 [O], in units of `step`, the real size of one unit of the sums."""
    if len(node.inputs) < 3:
        return np.zeros(len(step))
    name = node.inputs[2]
    type_ = graph.tensors[name]
    if name not in graph.constants or graph.constants[name].size not in (1, len(step)):
        raise NotInteger("its bias is not a constant of one number an output channel")
    values = np.broadcast_to(graph.constants[name].astype(np.float64).reshape(-1), len(step))
    if not type_.quantised:
        return values / step
    values, scale = values - np.float64(type_.zero_point), np.float64(type_.scale)
    return np.where(np.isclose(scale, step, rtol=1e-5, atol=0), values, values * scale / step)


def _product(graph: Graph, node: Node, rows: bool = True) -> tuple[str, str, dict]:
    """Names of the weights and the lanes of a Conv or Gemm, and the attributes that weights of several parts need."""
    weight, scales = _weights(graph, node, rows)
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    step = source.scale * scales
    changed, lanes = product_lanes(weight, step, bias_of(graph, node, step), source, target, node.attrs, graph.rounding)
    name, macs = node.inputs[1], weight[0].size
    changed, parts = split(changed) if changed.dtype != np.int8 else (changed, 1)
    if changed is not weight or not rows:
        name = graph.add_constant(f"{name}.weights", changed, tuple(map(float, scales)), (0,) * len(changed), 0)
    attrs = {"parts": parts, "macs_per_output": macs} if parts > 1 else {}
    return name, graph.add_constant(f"{node.name}.qnt", lanes), attrs


def _conv(graph: Graph, node: Node) -> None:
    shape = graph.tensors[node.inputs[1]].shape
    weight, qnt, parts = _product(graph, node)
    source = graph.tensors[node.inputs[0]]
    attrs = {"strides": tuple(node.attrs.get("strides", (1, 1))),
             "pads": resolve_pads(node.attrs, source.shape[2:], shape[2:]),
             "dilations": tuple(node.attrs.get("dilations", (1, 1))),
             "groups": node.attrs.get("group", 1), "pad_value": source.zero_point}
    emit(graph, node, "conv2d", [node.inputs[0], weight, qnt], attrs | parts)


def _gemm(graph: Graph, node: Node) -> None:
    if node.attrs.get("alpha", 1.0) != 1.0 or node.attrs.get("beta", 1.0) != 1.0 or node.attrs.get("transA", 0):
        raise NotInteger("alpha and beta must be 1, and transA 0")
    weight, qnt, parts = _product(graph, node, bool(node.attrs.get("transB", 0)))
    emit(graph, node, "dense", [node.inputs[0], weight, qnt], parts)


FORMS: dict[str, Form] = {"Conv": _conv, "Gemm": _gemm}
