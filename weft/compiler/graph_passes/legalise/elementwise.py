"""One value out for each value in: sums, products, clamps, changes of scale, and functions by table."""

import math

import numpy as np

from weft.runtime import kernels

from ...graph import Graph, Node
from ...reference import quantisation_attrs
from ..lanes import add_multipliers, scale_lanes
from ..tables import table_of
from .common import Form, NotInteger, at_scale, emit, requantise


def _by_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one value a channel."""
    return (*shape[:2], *[1] * (len(shape) - 2))


def _broadcast_constants(graph: Graph, node: Node, by_channel: bool) -> list[str]:
    """The inputs, constants among them in the shape of the output, or of one value a channel if that is enough and
    allowed."""
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


def lut(graph: Graph, node: Node) -> None:
    table = table_of(graph, node)
    if table is None:
        raise NotInteger("its result is not a number for some int8")
    emit(graph, node, "lut", node.inputs[:1], {}, None)
    graph.nodes[-1].inputs.append(graph.add_constant(f"{node.name}.table", table))


def _mul(graph: Graph, node: Node) -> None:
    names = _broadcast_constants(graph, node, True)
    if math.prod(graph.tensors[names[0]].shape) < math.prod(graph.tensors[names[1]].shape):
        names.reverse()
    a, b = (graph.tensors[name] for name in names)
    target = graph.tensors[node.outputs[0]]
    if len(a.shape) < 2 or b.shape not in (a.shape, _by_channel(a.shape)):
        raise NotInteger(f"it broadcasts {a.shape} and {b.shape}")
    lanes = scale_lanes(a.shape[1], a.scale * b.scale / target.scale, 0, target, node.attrs, graph.rounding)
    qnt = graph.add_constant(f"{node.name}.qnt", lanes)
    emit(graph, node, "mul", [*names, qnt], {"zero_points": (a.zero_point, b.zero_point)})


def _sum(graph: Graph, node: Node) -> None:
    """Add and Sub."""
    inputs = _broadcast_constants(graph, node, True)
    a, b = (graph.tensors[name] for name in inputs)
    target = graph.tensors[node.outputs[0]]
    shapes = {a.shape, b.shape}
    if len(target.shape) < 2 or target.shape not in shapes or not shapes <= {target.shape, _by_channel(target.shape)}:
        raise NotInteger(f"it broadcasts {a.shape} and {b.shape}")
    multipliers, scale = add_multipliers(a.scale, b.scale, target.scale)
    if node.op == "Sub":
        multipliers = multipliers[0], -multipliers[1]
    bias = -(a.zero_point * multipliers[0] + b.zero_point * multipliers[1])
    lanes = scale_lanes(a.shape[1], scale / target.scale, bias, target, node.attrs, graph.rounding)
    emit(graph, node, "add", [*inputs, graph.add_constant(f"{node.name}.qnt", lanes)], {"multipliers": multipliers})


def _extreme(graph: Graph, node: Node) -> None:
    """Max and Min: of two tensors at the scale of the output, which rounding cannot put in another order."""
    target = graph.tensors[node.outputs[0]]
    names = _broadcast_constants(graph, node, False)
    shapes = {graph.tensors[name].shape for name in names}
    if len(names) != 2 or names[0] == names[1] or len(target.shape) < 2 or shapes != {target.shape}:
        raise NotInteger("it must be of two tensors of one shape")
    emit(graph, node, node.op.lower(), [at_scale(graph, name, target) for name in names])


def _prelu(graph: Graph, node: Node) -> None:
    """The values above zero, and those below with the slopes of their channels; one of the two is always zero, so the sum is
    rounded once."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    slopes, zero = _slopes(graph, node), target.zero_point
    sides: list[str] = []
    ones = np.ones(len(slopes))
    for side, factor, upwards in (("above", ones, ones > 0), ("below", slopes, slopes < 0)):
        scale = np.abs(factor) * source.scale / target.scale
        lanes = scale_lanes(len(slopes), scale, -source.zero_point, target, {}, graph.rounding)
        lanes["multiplier"] *= np.where(factor < 0, -1, 1)
        lanes["minimum"], lanes["maximum"] = np.where(upwards, zero, -128), np.where(upwards, 127, zero)
        sides.append(graph.add_tensor(f"{node.outputs[0]}.{side}", target))
        emit(graph, node, "requantise", [node.inputs[0], graph.add_constant(f"{node.name}.{side}.qnt", lanes)], {},
             sides[-1])
    lanes = scale_lanes(len(slopes), 1.0, -2 * zero, target, node.attrs, graph.rounding)
    emit(graph, node, "add", [*sides, graph.add_constant(f"{node.name}.qnt", lanes)], {"multipliers": (1, 1)})


def _slopes(graph: Graph, node: Node) -> np.ndarray:
    """float64 [C]."""
    shape, name = graph.tensors[node.inputs[0]].shape, node.inputs[1]
    type_ = graph.tensors[name]
    whole = (1,) * (len(shape) - len(type_.shape)) + type_.shape
    if name not in graph.constants or len(shape) < 2 or any(n != 1 for i, n in enumerate(whole) if i != 1):
        raise NotInteger("its slope is not a constant of one number a channel")
    values = graph.constants[name]
    if type_.quantised:
        (values,) = kernels.run("dequantize", quantisation_attrs(type_), values)
    return np.broadcast_to(values.astype(np.float64).reshape(-1), shape[1])


def _clip(graph: Graph, node: Node) -> None:
    limits = {new: node.attrs[old] for old, new in (("min", "minimum"), ("max", "maximum")) if old in node.attrs}
    limits = {"minimum": max(limits.get("minimum", -np.inf), node.attrs.get("minimum", -np.inf)),
              "maximum": min(limits.get("maximum", np.inf), node.attrs.get("maximum", np.inf))}
    requantise(graph, node, node.inputs[0], limits)


def _identity(graph: Graph, node: Node) -> None:
    requantise(graph, node, node.inputs[0], node.attrs)


FORMS: dict[str, Form] = {"Add": _sum, "Sub": _sum, "Mul": _mul, "Max": _extreme, "Min": _extreme, "PRelu": _prelu,
                          "Clip": _clip, "Identity": _identity}
