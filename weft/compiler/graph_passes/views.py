"""Moves between the accelerator and what is around it become views, which packing and unpacking do on the way.

    accel(transpose(x)), x from outside   -> accel(view(x))     folded into packing
    outside(reshape(y)), y made by accel  -> outside(view(y))   folded into unpacking
    accel(reshape(y)) of the same bytes   -> accel(view(y))     two names of one place in memory
    quantize(Transpose(x))                -> transpose(quantize(x)), and dequantize likewise: moves meet the accelerator
    int8_to_uint8(softmax(x))             -> softmax(x) of dtype uint8, and quantize likewise

What moves values from the accelerator back to it, and changes the bytes, or moves what only the host has, stays on the host.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from .rewrite import only_reader, rename_output, substitute, until_stable

MOVES = ("transpose", "reshape", "uint8_to_int8", "int8_to_uint8", "view")
REAL_MOVES = {"Transpose": "transpose", "Reshape": "reshape"}


@dataclass(frozen=True)
class Views:
    name: ClassVar[str] = "views"

    def __call__(self, graph: Graph, config: Config) -> None:
        until_stable(graph, _lift_quantize, _sink_dequantize, _make_unsigned)
        for node in list(graph.nodes):
            if node.op in MOVES and node.where == "host":
                _fold(graph, node)
        _merge(graph)


def _stored_move(graph: Graph, node: Node) -> dict | None:
    """The attributes of a move of real numbers as a move of stored ones; None where `node` is no such move."""
    if node.op not in REAL_MOVES or {"minimum", "maximum"} & set(node.attrs):
        return None
    if node.op == "Reshape":
        return {"shape": graph.tensors[node.outputs[0]].shape}
    rank = len(graph.tensors[node.inputs[0]].shape)
    return {"perm": tuple(node.attrs.get("perm") or reversed(range(rank)))}


def _lift_quantize(graph: Graph, node: Node) -> bool:
    """quantize(move(x)) -> move(quantize(x))"""
    maker = graph.producers().get(node.inputs[0]) if node.op == "quantize" and "axis" not in node.attrs else None
    attrs = None if maker is None else _stored_move(graph, maker)
    if attrs is None or only_reader(graph, maker.outputs[0]) is not node:
        return False
    type_ = dataclasses.replace(graph.tensors[node.outputs[0]], shape=graph.tensors[maker.inputs[0]].shape)
    stored = graph.add_tensor(f"{node.outputs[0]}.stored", type_)
    before = dataclasses.replace(node, inputs=[maker.inputs[0]], outputs=[stored])
    after = Node(maker.name, REAL_MOVES[maker.op], [stored], node.outputs, attrs, reason="changes the layout")
    _replace(graph, (maker, node), (before, after))
    return True


def _sink_dequantize(graph: Graph, node: Node) -> bool:
    """move(dequantize(x)) -> dequantize(move(x))"""
    attrs = _stored_move(graph, node)
    maker = None if attrs is None else graph.producers().get(node.inputs[0])
    if maker is None or maker.op != "dequantize" or "axis" in maker.attrs \
            or only_reader(graph, maker.outputs[0]) is not node:
        return False
    type_ = dataclasses.replace(graph.tensors[maker.inputs[0]], shape=graph.tensors[node.outputs[0]].shape)
    moved = graph.add_tensor(f"{node.outputs[0]}.moved", type_)
    before = Node(node.name, REAL_MOVES[node.op], [maker.inputs[0]], [moved], attrs, reason="changes the layout")
    after = dataclasses.replace(maker, inputs=[moved], outputs=node.outputs)
    _replace(graph, (maker, node), (before, after))
    return True


def _make_unsigned(graph: Graph, node: Node) -> bool:
    """int8_to_uint8(f(x)) -> f(x) of dtype uint8, where the host computes f and may as well write that."""
    maker = graph.producers().get(node.inputs[0]) if node.op == "int8_to_uint8" else None
    if maker is None or maker.op not in ("softmax", "quantize") or "axis" in maker.attrs and maker.op == "quantize" \
            or only_reader(graph, maker.outputs[0]) is not node:
        return False
    made, wanted = maker.outputs[0], node.outputs[0]
    type_ = graph.tensors[wanted]
    maker.attrs = maker.attrs | {"dtype": "uint8", "zero_point": type_.zero_point}
    graph.nodes.remove(node)
    rename_output(graph, maker, made, wanted)
    graph.tensors[wanted] = type_
    return True


def _replace(graph: Graph, old: tuple[Node, Node], new: tuple[Node, Node]) -> None:
    """Two nodes, the second of which was the first's only reader, for two others."""
    graph.nodes[graph.nodes.index(old[1])] = new[1]
    graph.nodes[graph.nodes.index(old[0])] = new[0]


def _origin(graph: Graph, name: str) -> tuple[str, tuple]:
    """(where the values of a tensor come from before all moves, the steps that view them as this tensor)."""
    maker, steps = graph.producers().get(name), ()
    while maker is not None and maker.op in MOVES:
        steps = _steps(maker) + steps
        name = maker.inputs[0]
        maker = graph.producers().get(name)
    return name, steps


def _steps(node: Node) -> tuple:
    if node.op == "view":
        return node.attrs["steps"]
    if node.op in ("transpose", "reshape"):
        return ((node.op, *node.attrs.values()),)
    return (("flip",),)


def _fold(graph: Graph, node: Node) -> None:
    output = node.outputs[0]
    source, steps = _origin(graph, output)
    maker = graph.producers().get(source)
    readers = [r for r in graph.consumers()[output] if r.op not in MOVES]  # moves behind it are folded by themselves
    inside = [r for r in readers if r.where == "accel"]
    if maker is not None and maker.where == "accel":
        if not inside:
            _become_view(node, source, steps, "folded into unpacking")
        elif _same_bytes(graph, source, output, steps):
            _become_view(node, source, steps, "the same bytes")
        else:
            _become_view(node, source, steps, "brings what the accelerator made to another layout", "host")
    elif inside and source not in graph.constants:
        if len(inside) < len(readers) or output in graph.outputs:
            node = _of_its_own(graph, node, inside)
        _become_view(node, source, steps, "folded into packing")


def _become_view(node: Node, source: str, steps: tuple, reason: str, where: str = "view") -> None:
    node.op, node.inputs, node.attrs = "view", [source], {"steps": steps}
    node.where, node.reason = where, reason


def _merge(graph: Graph) -> None:
    """Equal views are one, which is packed once. Weights lie otherwise than activations."""
    weights = {node.inputs[1] for node in graph.nodes if node.op == "dense"}
    first: dict[tuple, str] = {}
    for node in list(graph.nodes):
        if node.op == "view" and node.outputs[0] not in graph.outputs:
            output = node.outputs[0]
            known = first.setdefault((node.inputs[0], node.attrs["steps"], node.where, output in weights), output)
            if known != output:
                graph.nodes.remove(node)
                substitute(graph, output, known)


def _of_its_own(graph: Graph, node: Node, readers: list[Node]) -> Node:
    """A second node like this one, which those readers read instead."""
    output = node.outputs[0]
    packed = graph.add_tensor(f"{output}.packed", graph.tensors[output])
    twin = Node(f"{node.name}.packed", node.op, list(node.inputs), [packed], dict(node.attrs))
    graph.nodes.insert(graph.nodes.index(node) + 1, twin)
    for reader in readers:
        reader.inputs = [packed if name == output else name for name in reader.inputs]
    return twin


def _same_bytes(graph: Graph, source: str, output: str, steps: tuple) -> bool:
    """Whether both lie alike on the device: the blocks of batch and channels are the same, and so are the places between
    them."""
    def blocked(name: str) -> tuple[int, ...]:
        shape = graph.tensors[name].shape
        return len(shape) in (2, 4), *shape[:2], math.prod(shape[2:])

    return all(step == "reshape" for step, *_ in steps) and blocked(source) == blocked(output)
