"""Transposed convolutions of float32 become pieces of ordinary ones on the CPU, as those of int8 do for the accelerator:

    ConvTranspose(x, w, bias) -> pieces of Conv(x, every stride-th row and column of w, bias)
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.runtime.kernels.conv import as_convolution, spread
from weft.runtime.kernels.windows import transposed_pads

from ..graph import Graph, Node
from .legalise import runs
from .legalise.common import NotInteger
from .legalise.transposed import taken


@dataclass(frozen=True)
class SplitTransposed:
    name: ClassVar[str] = "split-transposed"

    def __call__(self, graph: Graph, config: Config) -> None:
        nodes, graph.nodes = graph.nodes, []
        for node in nodes:
            if node.op != "ConvTranspose" or not _is_real(graph, node):
                graph.nodes.append(node)
                continue
            try:
                _split(graph, node)
            except NotInteger as reason:  # too many pieces
                node.reason = str(reason)
                graph.nodes.append(node)


def _is_real(graph: Graph, node: Node) -> bool:
    types = [graph.tensors[name] for name in (*node.inputs, *node.outputs) if name]
    constant = all(name in graph.constants for name in node.inputs[1:] if name)
    return constant and all(t.dtype == "float32" and not t.quantised for t in types) and len(types[0].shape) == 4


def _split(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    groups, strides = node.attrs.get("group", 1), tuple(node.attrs.get("strides", (1, 1)))
    weight = spread(as_convolution(graph.constants[node.inputs[1]], groups), tuple(node.attrs.get("dilations", (1, 1))))
    before = transposed_pads(node.attrs, source.shape[2:], weight.shape[2:])[:2]
    sizes = zip(source.shape[2:], target.shape[2:], weight.shape[2:], strides, before, strict=True)
    axes = tuple(runs.transposed(*each) for each in sizes)
    given = len(node.inputs) > 2 and node.inputs[2]
    bias = graph.constants[node.inputs[2]] if given else np.zeros(len(weight), np.float32)
    limits = {key: value for key, value in node.attrs.items() if key in ("minimum", "maximum")}

    def piece(rows: runs.Run, columns: runs.Run) -> tuple[list[str], dict]:
        part = np.ascontiguousarray(taken(weight, rows.taps, columns.taps))
        names = [graph.add_constant(f"{node.name}.weights", part), graph.add_constant(f"{node.name}.bias", bias)]
        return names, {"dilations": (1, 1), "group": groups} | limits

    runs.add_pieces(graph, node, "Conv", source.shape, axes, piece, {"macs": graph.macs(node)}, node.outputs[0])
