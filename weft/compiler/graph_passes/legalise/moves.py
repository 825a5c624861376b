"""Values that move: the same moves on stored values."""

import dataclasses

from weft.runtime.kernels.shape import slice_ranges

from ...graph import Graph, Node
from .common import Form, NotInteger, at_scale, emit, requantise


def _move(graph: Graph, node: Node, op: str, attrs: dict) -> None:
    """A move on stored values, and a requantise after it where the types differ."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if source.quantisation == target.quantisation:
        emit(graph, node, op, node.inputs[:1], attrs)
        return
    moved = graph.add_tensor(f"{node.outputs[0]}.moved", dataclasses.replace(source, shape=target.shape))
    emit(graph, node, op, node.inputs[:1], attrs, moved)
    requantise(graph, node, moved, {})


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
        raise NotInteger(f"its value {node.attrs['value']} has no int8 at the scale of its input")
    pads = node.attrs["pads"]
    _move(graph, node, "pad", {"before": tuple(pads[:rank]), "after": tuple(pads[rank:]), "value": round(value)})


def _concat(graph: Graph, node: Node) -> None:
    target = graph.tensors[node.outputs[0]]
    emit(graph, node, "concat", [at_scale(graph, name, target) for name in node.inputs], {"axis": node.attrs["axis"]})


FORMS: dict[str, Form] = {"Transpose": _transpose, "Reshape": _reshape, "Slice": _slice, "Pad": _pad, "Concat": _concat}
