"""quantize(op(dequantize(x))) -> op(x) on quantised tensors: the types say what the nodes said.

First, values that only move meet their quantisation half way:

    move(dequantize(x))           -> dequantize(move(x))
    quantize(move(y))             -> move(quantize(y))       both also for MaxPool, which commutes with a rising function

Last, quantize(dequantize(x)) of another scale -> Identity(x).
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from . import tables
from .rewrite import only_reader, substitute, until_stable

MOVES = ("Reshape", "Transpose", "Slice", "MaxPool")  # of one input; Pad and Concat bring values of their own
ABSORBING = ("Conv", "ConvTranspose", "Resize", "DepthToSpace", "SpaceToDepth", "Gemm", "Add", "Clip", "AveragePool",
             "GlobalAveragePool", "Pad", "Concat", "Identity", "Sub", "Mul", "Softmax", "MatMul", *MOVES)


@dataclass(frozen=True)
class AbsorbQuantisation:
    name: ClassVar[str] = "absorb-quantisation"

    def __call__(self, graph: Graph, config: Config) -> None:
        until_stable(graph, _sink_dequantize, _lift_quantize)
        for node in list(graph.nodes):
            if node.op in ABSORBING or node.op in (*tables.UNARY, *tables.BINARY):
                _absorb(graph, node)
            elif node.op == "quantize":
                _rescale(graph, node)


def _rescale(graph: Graph, node: Node) -> None:
    """quantize(dequantize(x)) -> Identity(x), which is a change of scale."""
    maker = graph.producers().get(node.inputs[0])
    if maker is not None and maker.op == "dequantize" and _by_tensor(maker) and _by_tensor(node) \
            and graph.tensors[maker.inputs[0]].quantised:
        node.op, node.inputs, node.attrs = "Identity", [maker.inputs[0]], {}


def _moves(node: Node | None) -> bool:
    return node is not None and node.op in MOVES and "minimum" not in node.attrs and "maximum" not in node.attrs


def _by_tensor(node: Node) -> bool:
    return "axis" not in node.attrs


def _sink_dequantize(graph: Graph, node: Node) -> bool:
    """node moves what a dequantize made, and no quantize follows at once: swap the two."""
    if not _moves(node) or graph.tensors[node.outputs[0]].quantised:
        return False
    maker = graph.producers().get(node.inputs[0])
    if maker is None or maker.op != "dequantize" or not _by_tensor(maker):
        return False
    if any(r.op == "quantize" for r in graph.consumers()[node.outputs[0]]):
        return False
    stored = dataclasses.replace(graph.tensors[maker.inputs[0]], shape=graph.tensors[node.outputs[0]].shape)
    moved = graph.add_tensor(f"{node.outputs[0]}.stored", stored)
    after = Node(f"{node.name}.dequantize", "dequantize", [moved], node.outputs, dict(maker.attrs))
    node.inputs, node.outputs = [maker.inputs[0]], [moved]
    graph.nodes.insert(graph.nodes.index(node) + 1, after)
    return True


def _lift_quantize(graph: Graph, node: Node) -> bool:
    """node quantises what was moved as real numbers, for it alone: swap the two."""
    if node.op != "quantize" or not _by_tensor(node) or only_reader(graph, node.inputs[0]) is not node:
        return False
    maker = graph.producers().get(node.inputs[0])
    if not _moves(maker):
        return False
    before = graph.producers().get(maker.inputs[0])
    if before is None or before.op == "dequantize":
        return False
    stored = dataclasses.replace(graph.tensors[node.outputs[0]], shape=graph.tensors[maker.inputs[0]].shape)
    name = graph.add_tensor(f"{maker.inputs[0]}.stored", stored)
    graph.nodes.insert(graph.nodes.index(maker), Node(node.name, "quantize", [maker.inputs[0]], [name], node.attrs))
    maker.inputs, maker.outputs = [name], node.outputs
    graph.nodes.remove(node)
    return True


def _absorb(graph: Graph, node: Node) -> None:
    makers = graph.producers()
    stored = [_stored_input(graph, makers, name) for name in node.inputs]
    if None in stored or any(graph.tensors[name].quantised for name in node.outputs):
        return
    if any(not graph.tensors[name].quantised for name in stored[:1]):
        return
    readers = graph.consumers()[node.outputs[0]]
    if not readers or node.outputs[0] in graph.outputs or any(r.op != "quantize" for r in readers):
        return
    if len({graph.tensors[r.outputs[0]] for r in readers}) != 1 or any(r.outputs[0] in graph.outputs for r in readers[1:]):
        return
    node.inputs, node.outputs = stored, [readers[0].outputs[0]]
    for reader in readers:
        graph.nodes.remove(reader)
    for reader in readers[1:]:
        substitute(graph, reader.outputs[0], node.outputs[0])


def _stored_input(graph: Graph, makers: dict[str, Node], name: str) -> str | None:
    """The quantised tensor behind a dequantize, or a constant of real numbers as it is; None for anything else."""
    maker = makers.get(name)
    if maker is not None and maker.op == "dequantize":
        return maker.inputs[0]
    return name if name in graph.constants else None
