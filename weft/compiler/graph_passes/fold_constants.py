"""What depends on no input is computed now."""

from dataclasses import dataclass

import numpy as np

from weft.isa import Config

from ..graph import Graph, Node
from ..reference import evaluate


@dataclass(frozen=True)
class FoldConstants:
    """`dequantise`: also make real numbers of quantised constants, once nobody needs to see how they were quantised."""

    name: str = "fold-constants"
    dequantise: bool = False

    def __call__(self, graph: Graph, config: Config) -> None:
        kept = []
        for node in graph.nodes:
            if self._foldable(graph, node):
                self._fold(graph, node)
            else:
                kept.append(node)
        graph.nodes = kept

    def _foldable(self, graph: Graph, node: Node) -> bool:
        if any(name in graph.outputs for name in node.outputs) or node.op == "dequantize" and not self.dequantise:
            return False
        return node.op == "Shape" or all(name in graph.constants for name in node.inputs if name)

    def _fold(self, graph: Graph, node: Node) -> None:
        if node.op == "Shape":
            operands = [np.broadcast_to(np.int8(0), graph.tensors[node.inputs[0]].shape)]
        else:
            operands = [graph.constants[name] if name else None for name in node.inputs]
        for name, value in zip(node.outputs, evaluate(graph, node, operands), strict=True):
            graph.constants[name] = value
