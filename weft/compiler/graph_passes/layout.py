"""Transposes and reshapes move together and vanish, so that only the network's edge has them.

    Transpose(Transpose(x)), Reshape(Reshape(x))       -> one of them, or none
    Transpose(x) that moves axes of size 1 only         -> Reshape(x)
    unary(Transpose(x))                                -> Transpose(unary(x)), towards the Transpose that undoes it
    Add(Transpose(x), Transpose(y)) of one order       -> Transpose(Add(x, y))
    Gemm(Reshape(x [N, C, 1, 1]))                      -> Gemm(x)
    Gemm(Reshape(x [N, C, H, W])), in either order     -> Reshape(Conv(x) with a kernel of H by W)
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config

from ..graph import Graph, Node
from .rewrite import bypass, only_reader, until_stable

UNARY = ("Clip", "Identity", "quantize", "dequantize")


@dataclass(frozen=True)
class Layout:
    name: ClassVar[str] = "layout"

    def __call__(self, graph: Graph, config: Config) -> None:
        until_stable(graph, _drop_identity, _as_reshape, _compose, _sink_unary, _sink_add)
        until_stable(graph, _flattened)


def _same_quantisation(graph: Graph, node: Node) -> bool:
    return graph.tensors[node.inputs[0]].quantisation == graph.tensors[node.outputs[0]].quantisation


def _perm(graph: Graph, node: Node) -> tuple[int, ...]:
    rank = len(graph.tensors[node.inputs[0]].shape)
    return tuple(node.attrs.get("perm") or reversed(range(rank)))


def _drop_identity(graph: Graph, node: Node) -> bool:
    if node.op not in ("Transpose", "Reshape") or not _same_quantisation(graph, node):
        return False
    if node.op == "Transpose":
        same = _perm(graph, node) == tuple(range(len(_perm(graph, node))))
    else:
        same = graph.tensors[node.inputs[0]].shape == graph.tensors[node.outputs[0]].shape
    return same and bypass(graph, node)


def _compose(graph: Graph, node: Node) -> bool:
    maker = graph.producers().get(node.inputs[0]) if node.op in ("Transpose", "Reshape") else None
    if maker is None or maker.op != node.op:
        return False
    if not _same_quantisation(graph, maker):
        return False
    if node.op == "Transpose":
        first = _perm(graph, maker)
        node.attrs = node.attrs | {"perm": tuple(first[i] for i in _perm(graph, node))}
    node.inputs = list(maker.inputs)
    return True


def _as_reshape(graph: Graph, node: Node) -> bool:
    shape = graph.tensors[node.inputs[0]].shape
    if node.op != "Transpose":
        return False
    moved = [p for p in _perm(graph, node) if shape[p] > 1]
    if moved != sorted(moved):
        return False
    node.op, node.attrs = "Reshape", {"shape": graph.tensors[node.outputs[0]].shape}
    return True


def _undone_later(graph: Graph, node: Node) -> bool:
    """Whether every reader after `node`, through unary ones, is a Transpose or an Add: only then is sinking worth it."""
    readers = graph.consumers()[node.outputs[0]]
    return bool(readers) and node.outputs[0] not in graph.outputs and all(
        r.op in ("Transpose", "Add") or r.op in UNARY and _undone_later(graph, r) for r in readers)


def _transposed(shape: tuple[int, ...], perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[p] for p in perm)


def _sink_unary(graph: Graph, node: Node) -> bool:
    maker = graph.producers().get(node.inputs[0]) if node.op in UNARY else None
    if maker is None or maker.op != "Transpose" or "axis" in node.attrs or not _same_quantisation(graph, maker) \
            or only_reader(graph, maker.outputs[0]) is None or not _undone_later(graph, node):
        return False
    _sink(graph, node, [maker])
    return True


def _sink_add(graph: Graph, node: Node) -> bool:
    makers = [graph.producers().get(name) for name in node.inputs] if node.op == "Add" else []
    if len(makers) != 2 or any(m is None or m.op != "Transpose" or not _same_quantisation(graph, m)
                               or only_reader(graph, m.outputs[0]) is None for m in makers):
        return False
    if _perm(graph, makers[0]) != _perm(graph, makers[1]) or not _undone_later(graph, node):
        return False
    _sink(graph, node, makers)
    return True


def _sink(graph: Graph, node: Node, makers: list[Node]) -> None:
    """op(Transpose(x), ...) -> Transpose(op(x, ...)); the makers serve nobody else."""
    perm, output = _perm(graph, makers[0]), node.outputs[0]
    inner_shape = graph.tensors[makers[0].inputs[0]].shape
    inner = graph.add_tensor(f"{output}.inner", dataclasses.replace(graph.tensors[output], shape=inner_shape))
    node.inputs, node.outputs = [m.inputs[0] for m in makers], [inner]
    after = Node(f"{node.name}.transpose", "Transpose", [inner], [output], {"perm": perm})
    graph.nodes.insert(graph.nodes.index(node) + 1, after)
    for maker in makers:
        graph.nodes.remove(maker)


def _flattened(graph: Graph, node: Node) -> bool:
    """A Gemm on a flattened map: a Gemm on the map where that is 1 by 1, else a Conv over all of it."""
    reshape = graph.producers().get(node.inputs[0]) if node.op == "Gemm" and not node.attrs.get("transA") else None
    if reshape is None or reshape.op != "Reshape" or not _same_quantisation(graph, reshape):
        return False
    source, perm = reshape.inputs[0], (0, 1, 2, 3)
    transpose = graph.producers().get(source)
    if transpose is not None and transpose.op == "Transpose" and _same_quantisation(graph, transpose):
        source, perm = transpose.inputs[0], _perm(graph, transpose)
    shape, flat = graph.tensors[source].shape, graph.tensors[node.inputs[0]].shape
    if len(shape) != 4 or perm[0] != 0 or flat != (shape[0], int(np.prod(shape[1:]))):
        return False
    if shape[2:] == (1, 1):
        node.inputs = [source, *node.inputs[1:]]
        return True
    return node.inputs[1] in graph.constants and _as_conv(graph, node, source, perm)


def _as_conv(graph: Graph, node: Node, source: str, perm: tuple[int, ...]) -> bool:
    weight, output = graph.tensors[node.inputs[1]], node.outputs[0]
    rows = node.attrs.get("transB", 0)
    if node.attrs.get("alpha", 1.0) != 1.0 or node.attrs.get("beta", 1.0) != 1.0:
        return False
    if len(node.inputs) > 2 and graph.tensors[node.inputs[2]].shape != (weight.shape[0 if rows else 1],):
        return False
    shape = graph.tensors[source].shape
    values = graph.constants[node.inputs[1]]
    values = values if rows else values.T
    kernel = values.reshape(-1, *_transposed(shape, perm)[1:]).transpose(np.argsort(perm))
    axis = None if weight.axis is None else 0
    kernel_name = graph.add_constant(f"{node.inputs[1]}.kernel", kernel, weight.scale, weight.zero_point, axis)
    target = graph.tensors[output]
    made = graph.add_tensor(f"{output}.map", dataclasses.replace(target, shape=(*target.shape, 1, 1)))
    keep = {k: v for k, v in node.attrs.items() if k in ("minimum", "maximum")}
    node.op, node.attrs = "Conv", {"kernel_shape": shape[2:], "strides": (1, 1), "pads": (0, 0, 0, 0)} | keep
    node.inputs, node.outputs = [source, kernel_name, *node.inputs[2:]], [made]
    after = Node(f"{node.name}.reshape", "Reshape", [made], [output], {"shape": target.shape})
    graph.nodes.insert(graph.nodes.index(node) + 1, after)
    return True
