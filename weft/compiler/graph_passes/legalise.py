"""Operators on quantised tensors become integer operators; what has none runs on the host in real numbers.

    Conv -> conv2d, Gemm -> dense, Add and Sub -> add, Mul -> mul, functions of one value -> lut, MaxPool -> max_pool,
    AveragePool and GlobalAveragePool -> avg_pool, Clip and Identity -> requantise,
    Transpose, Reshape, Slice, Pad, Concat -> the same on stored values
    anything else -> quantize(op(dequantize(x)))
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.runtime.kernels.shape import slice_ranges
from weft.runtime.kernels.windows import pool_pads, resolve_pads

from ..graph import Graph, Node
from ..reference import quantisation_attrs
from .lanes import LanesError, activation_range, add_multipliers, product_lanes, scale_lanes, stored_average_lanes
from .tables import is_function_of_one, table_of
from .weight_parts import split


class _NotInteger(Exception):
    """This node has no integer form; the text says why."""


@dataclass(frozen=True)
class Legalise:
    name: ClassVar[str] = "legalise"

    def __call__(self, graph: Graph, config: Config) -> None:
        nodes, graph.nodes = graph.nodes, []
        for node in nodes:
            quantised = [graph.tensors[t].quantised for t in (*node.inputs, *node.outputs) if t]
            if not node.op[0].isupper() or not any(quantised):
                graph.nodes.append(node)
                continue
            mark = len(graph.nodes)
            try:
                form = _lut if is_function_of_one(graph, node) else _FORMS.get(node.op)
                if form is None:
                    raise _NotInteger(f"{node.op} has no integer form")
                _check_activations(graph, node, form)
                form(graph, node)
            except (_NotInteger, LanesError) as reason:
                del graph.nodes[mark:]
                _on_real_numbers(graph, node, str(reason))


def _check_activations(graph: Graph, node: Node, form: Callable) -> None:
    for name in (*(node.inputs if form in (_sum, _mul, _concat) else node.inputs[:1]), *node.outputs):
        type_ = graph.tensors[name]
        if type_.dtype != "int8" or not type_.quantised or type_.axis is not None:
            raise _NotInteger(f"'{name}' is not int8 with one scale")


def _emit(graph: Graph, node: Node, op: str, inputs: list[str], attrs: dict | None = None,
          output: str | None = None) -> None:
    """An integer node in the place of `node`; it makes its output, or another one on the way to that."""
    name = node.name if output is None else output
    graph.nodes.append(Node(name, op, inputs, [output or node.outputs[0]], attrs or {}))


def _on_real_numbers(graph: Graph, node: Node, reason: str) -> None:
    """quantize(op(dequantize(x))), on the host."""
    inputs = []
    for name in node.inputs:
        if name and graph.tensors[name].quantised:
            type_ = graph.tensors[name]
            real = graph.add_tensor(f"{name}.real", dataclasses.replace(type_, dtype="float32", scale=None, zero_point=None,
                                                                        axis=None))
            graph.nodes.append(Node(real, "dequantize", [name], [real], quantisation_attrs(type_)))
            name = real
        inputs.append(name)
    outputs, after = [], []
    for name in node.outputs:
        type_ = graph.tensors[name]
        if type_.quantised:
            real = graph.add_tensor(f"{name}.real", dataclasses.replace(type_, dtype="float32", scale=None, zero_point=None,
                                                                        axis=None))
            after.append(Node(name, "quantize", [real], [name], quantisation_attrs(type_, graph.rounding)))
            name = real
        outputs.append(name)
    graph.nodes += [Node(node.name, node.op, inputs, outputs, node.attrs, reason=reason), *after]


def _weights(graph: Graph, node: Node, rows: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(weights with the output channel first and zero point 0, their scales as float64 [O]); int16 where there was another."""
    name = node.inputs[1]
    type_, axis = graph.tensors[name], 0 if rows else 1
    if name not in graph.constants or type_.dtype != "int8" or not type_.quantised:
        raise _NotInteger("its weights are not constant int8")
    if type_.axis not in (None, axis):
        raise _NotInteger(f"its weights have a scale along axis {type_.axis}")
    values = graph.constants[name] if rows else np.ascontiguousarray(graph.constants[name].T)
    zero_point = np.asarray(type_.zero_point)
    if zero_point.any():
        values = values - zero_point.reshape((-1,) + (1,) * (values.ndim - 1) if zero_point.ndim else ()).astype(np.int16)
    return values, np.broadcast_to(np.float64(type_.scale), len(values))


def _bias(graph: Graph, node: Node, step: np.ndarray) -> np.ndarray:
    """The bias, float64 [O], in units of `step`, the real size of one unit of the sums."""
    if len(node.inputs) < 3:
        return np.zeros(len(step))
    name = node.inputs[2]
    type_ = graph.tensors[name]
    if name not in graph.constants or graph.constants[name].size not in (1, len(step)):
        raise _NotInteger("its bias is not a constant of one number an output channel")
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
    changed, lanes = product_lanes(weight, step, _bias(graph, node, step), source, target, node.attrs, graph.rounding)
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
    _emit(graph, node, "conv2d", [node.inputs[0], weight, qnt], attrs | parts)


def _gemm(graph: Graph, node: Node) -> None:
    if node.attrs.get("alpha", 1.0) != 1.0 or node.attrs.get("beta", 1.0) != 1.0 or node.attrs.get("transA", 0):
        raise _NotInteger("alpha and beta must be 1, and transA 0")
    weight, qnt, parts = _product(graph, node, bool(node.attrs.get("transB", 0)))
    _emit(graph, node, "dense", [node.inputs[0], weight, qnt], parts)


def _by_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one value a channel."""
    return (*shape[:2], *[1] * (len(shape) - 2))


def _broadcast_constants(graph: Graph, node: Node, by_channel: bool) -> list[str]:
    """The inputs, constants among them in the shape of the output, or of one value a channel if that is enough and allowed."""
    shape, inputs = graph.tensors[node.outputs[0]].shape, []
    for name in node.inputs:
        type_ = graph.tensors[name]
        if name in graph.constants and type_.shape != shape:
            values = graph.constants[name].reshape((1,) * (len(shape) - len(type_.shape)) + type_.shape)
            wide = by_channel and len(shape) > 1 and all(n == 1 for n in values.shape[2:])
            values = np.broadcast_to(values, _by_channel(shape) if wide else shape)
            name = graph.add_constant(f"{name}.whole", values, type_.scale, type_.zero_point)
        inputs.append(name)
    return inputs


def _lut(graph: Graph, node: Node) -> None:
    table = table_of(graph, node)
    if table is None:
        raise _NotInteger("its result is not a number for some int8")
    _emit(graph, node, "lut", node.inputs[:1], {}, None)
    graph.nodes[-1].inputs.append(graph.add_constant(f"{node.name}.table", table))


def _mul(graph: Graph, node: Node) -> None:
    names = _broadcast_constants(graph, node, True)
    if math.prod(graph.tensors[names[0]].shape) < math.prod(graph.tensors[names[1]].shape):
        names.reverse()
    a, b = (graph.tensors[name] for name in names)
    target = graph.tensors[node.outputs[0]]
    if len(a.shape) < 2 or b.shape not in (a.shape, _by_channel(a.shape)):
        raise _NotInteger(f"it broadcasts {a.shape} and {b.shape}")
    lanes = scale_lanes(a.shape[1], a.scale * b.scale / target.scale, 0, target, node.attrs, graph.rounding)
    qnt = graph.add_constant(f"{node.name}.qnt", lanes)
    _emit(graph, node, "mul", [*names, qnt], {"zero_points": (a.zero_point, b.zero_point)})


def _sum(graph: Graph, node: Node) -> None:
    """Add and Sub."""
    inputs = _broadcast_constants(graph, node, False)
    a, b = (graph.tensors[name] for name in inputs)
    target = graph.tensors[node.outputs[0]]
    if a.shape != b.shape or len(a.shape) < 2:
        raise _NotInteger(f"it broadcasts {a.shape} and {b.shape}")
    multipliers, scale = add_multipliers(a.scale, b.scale)
    if node.op == "Sub":
        multipliers = multipliers[0], -multipliers[1]
    bias = -(a.zero_point * multipliers[0] + b.zero_point * multipliers[1])
    lanes = scale_lanes(a.shape[1], scale / target.scale, bias, target, node.attrs, graph.rounding)
    _emit(graph, node, "add", [*inputs, graph.add_constant(f"{node.name}.qnt", lanes)], {"multipliers": multipliers})


def _max_pool(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if set(node.attrs.get("dilations", (1,))) != {1}:
        raise _NotInteger("its dilations are not 1")
    attrs = _window(node, source.shape)
    if source.quantisation == target.quantisation:
        low, high = activation_range(target, node.attrs)
        limits = {"minimum": low, "maximum": high} if (low, high) != (-128, 127) else {}
        _emit(graph, node, "max_pool", node.inputs, attrs | limits)
    else:
        pooled = graph.add_tensor(f"{node.outputs[0]}.pooled", dataclasses.replace(source, shape=target.shape))
        _emit(graph, node, "max_pool", node.inputs, attrs, pooled)
        _requantise(graph, node, pooled, node.attrs)


def _window(node: Node, shape: tuple[int, ...]) -> dict:
    """Attributes of a pool. What ceil_mode adds is padding too."""
    kernel = tuple(node.attrs["kernel_shape"])
    (top, left, bottom, right), (rows, columns) = pool_pads(node.attrs, shape[2:], kernel)
    return {"kernel": kernel, "strides": tuple(node.attrs.get("strides", (1, 1))),
            "pads": (top, left, bottom + rows, right + columns)}


def _average_pool(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if len(source.shape) != 4:
        raise _NotInteger("it does not have two spatial axes")
    attrs = {"kernel": source.shape[2:], "strides": (1, 1), "pads": (0, 0, 0, 0)}
    if node.op == "AveragePool":
        attrs = _window(node, source.shape)
    counted = bool(node.attrs.get("count_include_pad", 0))
    if any(attrs["pads"]) and not (counted and attrs["pads"] == resolve_pads(node.attrs, source.shape[2:], attrs["kernel"])):
        raise _NotInteger("its windows at the edge count fewer values than the others")
    count = int(np.prod(attrs["kernel"]))
    if graph.rounding == "half_away" and source.quantisation == target.quantisation:
        lanes = stored_average_lanes(source.shape[1], count, graph.rounding)
    else:
        scale, bias = source.scale / target.scale / count, -count * source.zero_point
        lanes = scale_lanes(source.shape[1], scale, bias, target, {}, graph.rounding)
    lanes["minimum"], lanes["maximum"] = activation_range(target, node.attrs)
    qnt = graph.add_constant(f"{node.name}.qnt", lanes)
    _emit(graph, node, "avg_pool", [node.inputs[0], qnt], attrs | {"pad_value": source.zero_point})


def _requantise(graph: Graph, node: Node, source_name: str, clamp: dict) -> None:
    source, target = graph.tensors[source_name], graph.tensors[node.outputs[0]]
    if len(source.shape) < 2:
        raise _NotInteger("it has no axis of channels")
    lanes = scale_lanes(source.shape[1], source.scale / target.scale, -source.zero_point, target, clamp, graph.rounding)
    _emit(graph, node, "requantise", [source_name, graph.add_constant(f"{node.name}.qnt", lanes)])


def _clip(graph: Graph, node: Node) -> None:
    limits = {new: node.attrs[old] for old, new in (("min", "minimum"), ("max", "maximum")) if old in node.attrs}
    limits = {"minimum": max(limits.get("minimum", -np.inf), node.attrs.get("minimum", -np.inf)),
              "maximum": min(limits.get("maximum", np.inf), node.attrs.get("maximum", np.inf))}
    _requantise(graph, node, node.inputs[0], limits)


def _identity(graph: Graph, node: Node) -> None:
    _requantise(graph, node, node.inputs[0], node.attrs)


def _move(graph: Graph, node: Node, op: str, attrs: dict) -> None:
    """A move on stored values, and a requantise after it where the types differ."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if source.quantisation == target.quantisation:
        _emit(graph, node, op, node.inputs[:1], attrs)
        return
    moved = graph.add_tensor(f"{node.outputs[0]}.moved", dataclasses.replace(source, shape=target.shape))
    _emit(graph, node, op, node.inputs[:1], attrs, moved)
    _requantise(graph, node, moved, {})


def _transpose(graph: Graph, node: Node) -> None:
    rank = len(graph.tensors[node.inputs[0]].shape)
    _move(graph, node, "transpose", {"perm": tuple(node.attrs.get("perm") or reversed(range(rank)))})


def _reshape(graph: Graph, node: Node) -> None:
    _move(graph, node, "reshape", {"shape": graph.tensors[node.outputs[0]].shape})


def _slice(graph: Graph, node: Node) -> None:
    shape = graph.tensors[node.inputs[0]].shape
    ranges = slice_ranges(shape, *(node.attrs.get(key) for key in ("starts", "ends", "axes", "steps")))
    _move(graph, node, "slice", {key: tuple(getattr(r, key[:-1] if key != "ends" else "stop") for r in ranges)
                                 for key in ("starts", "ends", "steps")})


def _pad(graph: Graph, node: Node) -> None:
    source = graph.tensors[node.inputs[0]]
    rank, value = len(source.shape), node.attrs["value"] / source.scale + source.zero_point
    if abs(value - round(value)) > 1e-3 or not -128 <= round(value) <= 127:
        raise _NotInteger(f"its value {node.attrs['value']} has no int8 at the scale of its input")
    pads = node.attrs["pads"]
    _move(graph, node, "pad", {"before": tuple(pads[:rank]), "after": tuple(pads[rank:]), "value": round(value)})


def _concat(graph: Graph, node: Node) -> None:
    target, parts = graph.tensors[node.outputs[0]], []
    for name in node.inputs:
        source = graph.tensors[name]
        if source.quantisation != target.quantisation:
            part = graph.add_tensor(f"{name}.part", dataclasses.replace(target, shape=source.shape))
            stand_in = Node(part, "Identity", [name], [part])
            _requantise(graph, stand_in, name, {})
            name = part
        parts.append(name)
    _emit(graph, node, "concat", parts, {"axis": node.attrs["axis"]})


_FORMS: dict[str, Callable[[Graph, Node], None]] = {
    "Conv": _conv, "Gemm": _gemm, "Add": _sum, "Sub": _sum, "Mul": _mul, "MaxPool": _max_pool, "AveragePool": _average_pool,
    "GlobalAveragePool": _average_pool, "Clip": _clip, "Identity": _identity, "Transpose": _transpose, "Reshape": _reshape,
    "Slice": _slice, "Pad": _pad, "Concat": _concat,
}
