"""What all forms share: an integer node in the place of another, and the host for what has no integer form."""

import dataclasses
from collections.abc import Callable

from ...graph import Graph, Node, TensorType
from ...reference import quantisation_attrs
from ..lanes import scale_lanes

Form = Callable[[Graph, Node], None]  # adds the integer nodes that do what a node does; NotInteger where there are none


class NotInteger(Exception):
    """This node has no integer form; the text says why."""


def check_activations(graph: Graph, node: Node, inputs: list[str]) -> None:
    """NotInteger where one of these inputs or an output is no int8 with one scale."""
    for name in (*inputs, *node.outputs):
        type_ = graph.tensors[name]
        if type_.dtype != "int8" or not type_.quantised or type_.axis is not None:
            raise NotInteger(f"'{name}' is not int8 with one scale")


def emit(graph: Graph, node: Node, op: str, inputs: list[str], attrs: dict | None = None,
          output: str | None = None) -> None:
    """An integer node in the place of `node`; it makes its output, or another one on the way to that."""
    name = node.name if output is None else output
    graph.nodes.append(Node(name, op, inputs, [output or node.outputs[0]], attrs or {}))


def on_real_numbers(graph: Graph, node: Node, reason: str) -> None:
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


def at_scale(graph: Graph, name: str, target: TensorType) -> str:
    """The name of these values as `target` is quantised."""
    source = graph.tensors[name]
    if source.quantisation == target.quantisation:
        return name
    part = graph.add_tensor(f"{name}.part", dataclasses.replace(target, shape=source.shape))
    requantise(graph, Node(part, "Identity", [name], [part]), name, {})
    return part


def requantise(graph: Graph, node: Node, source_name: str, clamp: dict) -> None:
    source, target = graph.tensors[source_name], graph.tensors[node.outputs[0]]
    if len(source.shape) < 2:
        raise NotInteger("it has no axis of channels")
    lanes = scale_lanes(source.shape[1], source.scale / target.scale, -source.zero_point, target, clamp, graph.rounding)
    emit(graph, node, "requantise", [source_name, graph.add_constant(f"{node.name}.qnt", lanes)])
