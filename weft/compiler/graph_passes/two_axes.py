"""Sequences [1, rows, channels] become [rows, channels], which is a form that the accelerator has.

    Add(x, y), functions of one value     -> Reshape(Add(Reshape(x), Reshape(y)))
    MatMul(x [1, M, K], y [1, K, N])      -> Reshape(MatMul(Reshape(x), Reshape(y)))
    MatMul(x [L, M, K], y [L, K, N])      -> Concat of L products, each of a Slice of x and of y

The layout pass joins the reshapes between such operators, and they vanish.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from .tables import UNARY

BY_VALUE = ("Add", "Sub", "Mul", "Clip", "Identity", "lut", *UNARY)


@dataclass(frozen=True)
class TwoAxes:
    name: ClassVar[str] = "two-axes"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op == "Gemm":
                _as_matmul(graph, node)
            if node.op == "MatMul":
                _split_products(graph, node)
        for node in list(graph.nodes):
            if node.op == "MatMul" and _is_quantised(graph, node) and _is_one_product(graph, node):
                _reshape(graph, node)
            elif node.op in BY_VALUE and _is_quantised(graph, node) and _is_by_value(graph, node):
                _reshape(graph, node)


def _as_matmul(graph: Graph, node: Node) -> None:
    """A Gemm of two computed matrices, and of nothing more, is a MatMul."""
    plain = all(node.attrs.get(key, default) == default for key, default in (("transA", 0), ("alpha", 1.0), ("beta", 1.0)))
    if len(node.inputs) != 2 or len(_activations(graph, node)) != 2 or not plain:
        return
    node.op = "MatMul"
    if node.attrs.get("transB", 0):
        rows, columns = graph.tensors[node.inputs[1]].shape
        turned = _move(graph, node, node.inputs[1], "Transpose", {"perm": (1, 0)}, (columns, rows))
        graph.nodes.insert(graph.nodes.index(node), turned)
    node.attrs = {k: v for k, v in node.attrs.items() if k in ("minimum", "maximum")}


def _is_quantised(graph: Graph, node: Node) -> bool:
    """Whether all of its activations are, by one scale each."""
    types = [graph.tensors[name] for name in (*_activations(graph, node), *node.outputs)]
    return all(t.quantised and t.axis is None for t in types)


def _activations(graph: Graph, node: Node) -> list[str]:
    return [name for name in node.inputs if name and name not in graph.constants]


def _is_by_value(graph: Graph, node: Node) -> bool:
    """Whether each value depends on one value of each input, and constants are single numbers."""
    shape = graph.tensors[node.outputs[0]].shape
    table = node.inputs[1:] if node.op == "lut" else []
    constants = [name for name in node.inputs if name in graph.constants and name not in table]
    return len(shape) not in (1, 2, 4) and all(graph.constants[name].size == 1 for name in constants) \
        and all(graph.tensors[name].shape == shape for name in _activations(graph, node))


def _is_one_product(graph: Graph, node: Node) -> bool:
    shapes = [graph.tensors[name].shape for name in (*node.inputs, *node.outputs)]
    return len(_activations(graph, node)) == 2 and len(shapes[-1]) > 2 and all(math.prod(s[:-2]) == 1 for s in shapes)


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    return math.prod(shape[:-1]), shape[-1]


def _reshape(graph: Graph, node: Node) -> None:
    """Puts a Reshape before each input and after the output."""
    at = graph.nodes.index(node)
    before = [_move(graph, node, name, "Reshape", {"shape": _matrix(graph.tensors[name].shape)})
              for name in _activations(graph, node)]
    after = _results(graph, node, _matrix(graph.tensors[node.outputs[0]].shape))
    graph.nodes[at:at + 1] = [*before, node, after]


def _move(graph: Graph, node: Node, name: str, op: str, attrs: dict, shape: tuple[int, ...] | None = None) -> Node:
    """A node that moves the values of an input, and whose result `node` reads instead."""
    type_ = dataclasses.replace(graph.tensors[name], shape=shape or attrs["shape"])
    moved = graph.add_tensor(f"{node.name}.{name}.{op.lower()}", type_)
    node.inputs = [moved if n == name else n for n in node.inputs]
    return Node(moved, op, [name], [moved], attrs)


def _results(graph: Graph, node: Node, shape: tuple[int, ...]) -> Node:
    """Gives the node an output of that shape; returns the Reshape of it to the old one."""
    output = node.outputs[0]
    type_ = graph.tensors[output]
    node.outputs = [graph.add_tensor(f"{output}.rows", dataclasses.replace(type_, shape=shape))]
    return Node(f"{node.name}.shape", "Reshape", list(node.outputs), [output], {"shape": type_.shape})


def _split_products(graph: Graph, node: Node) -> None:
    """One MatMul for each matrix, where there are several and both operands are computed."""
    shapes = [graph.tensors[name].shape for name in (*node.inputs, *node.outputs)]
    count = math.prod(shapes[2][:-2])
    if not _is_quantised(graph, node) or len(_activations(graph, node)) != 2 or node.inputs[0] == node.inputs[1] \
            or any(math.prod(s[:-2]) != count for s in shapes) or count < 2:
        return
    stacked = [(count, *s[-2:]) for s in shapes]
    made: list[Node] = []
    sources = []
    for name, shape in zip(node.inputs, stacked, strict=False):
        reshape = _move(graph, node, name, "Reshape", {"shape": shape})
        made.append(reshape)
        sources.append(reshape.outputs[0])
    after = _results(graph, node, stacked[2])
    parts = []
    for k in range(count):
        part = Node(f"{node.name}.{k}", "MatMul", list(sources), [], dict(node.attrs))
        cut = {"starts": (k,), "ends": (k + 1,), "axes": (0,), "steps": (1,)}
        made += [_move(graph, part, name, "Slice", cut, (1, *shape[1:]))
                 for name, shape in zip(sources, stacked, strict=False)]
        type_ = dataclasses.replace(graph.tensors[node.outputs[0]], shape=(1, *stacked[2][1:]))
        part.outputs = [graph.add_tensor(f"{node.outputs[0]}.{k}", type_)]
        parts.append(part.outputs[0])
        made.append(part)
    made += [Node(node.name, "Concat", parts, node.outputs, {"axis": 0}), after]
    at = graph.nodes.index(node)
    graph.nodes[at:at + 1] = made
