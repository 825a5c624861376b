"""Batch normalisations of float networks go into the convolutions before them; where there is none, they are Mul and Add.

Results differ by the rounding of float32. Quantised networks stay as they are.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config

from ..graph import Graph, Node


@dataclass(frozen=True)
class FoldNorms:
    name: ClassVar[str] = "fold-norms"

    def __call__(self, graph: Graph, config: Config) -> None:
        from ..quantizer.prepare import fold_batch_norms  # which stands on these passes

        if any(type_.quantised for type_ in graph.tensors.values()):
            return
        fold_batch_norms(graph, as_conv=False)
        graph.nodes = [made for node in graph.nodes for made in _pointwise(graph, node)]


def _pointwise(graph: Graph, node: Node) -> list[Node]:
    """A normalisation by constants as a product and a sum."""
    if node.op != "BatchNormalization" or any(name not in graph.constants for name in node.inputs[1:]):
        return [node]
    x, y, shape = node.inputs[0], node.outputs[0], (-1,) + (1,) * (len(graph.tensors[node.inputs[0]].shape) - 2)
    gain, offset, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:5])
    factor = gain / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    names = [graph.add_constant(f"{node.name}.{stem}", values.astype(np.float32).reshape(shape))
             for stem, values in (("factor", factor), ("offset", offset - mean * factor))]
    scaled = graph.add_tensor(f"{y}.scaled", graph.tensors[y])
    limits = {key: value for key, value in node.attrs.items() if key in ("minimum", "maximum")}
    return [Node(f"{node.name}.scaled", "Mul", [x, names[0]], [scaled]),
            Node(node.name, "Add", [scaled, names[1]], [y], limits)]
