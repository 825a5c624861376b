"""A product of two computed matrices is one operator on the CPU: dense(x, w, product_bias(w, qnt)) -> product(x, w, qnt).

The accelerator needs lanes that know w before it multiplies; the CPU takes the zero point off each value of x.
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from .rewrite import only_reader


@dataclass(frozen=True)
class FuseProducts:
    name: ClassVar[str] = "fuse-products"

    def __call__(self, graph: Graph, config: Config) -> None:
        producers = graph.producers()
        for node in graph.nodes:
            if node.op == "dense" and node.inputs[1] not in graph.constants and "parts" not in node.attrs:
                lanes = producers.get(node.inputs[2])
                if lanes is None:
                    _become(node, node.inputs[2], 0)
                elif lanes.op == "product_bias" and lanes.inputs[0] == node.inputs[1] and only_reader(graph, node.inputs[2]):
                    _become(node, lanes.inputs[1], lanes.attrs["zero_point"])


def _become(node: Node, qnt: str, zero_point: int) -> None:
    node.op, node.attrs = "product", {"zero_point": zero_point}
    node.inputs = [*node.inputs[:2], qnt, *node.inputs[3:]]
