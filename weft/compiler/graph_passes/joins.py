"""Tensors that would lie in two others are copied, so that each concat whose parts are whole blocks costs nothing.

    concat(x, y), concat(x, z)       -> concat(x, y), concat(requantise(x), z), a copy
    concat(reshape(x), y)            -> concat(requantise(reshape(x)), y): what lies in x cannot lie elsewhere too
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from ..sharing import joins
from .lanes import scale_lanes

VIEWED = ("slice", "reshape", "transpose", "view", "uint8_to_int8", "int8_to_uint8")  # may lie in what they read


@dataclass(frozen=True)
class Joins:
    name: ClassVar[str] = "joins"

    def __call__(self, graph: Graph, config: Config) -> None:
        taken: set[str] = set()
        makers = graph.producers()
        for node in list(graph.nodes):
            if node.op != "concat" or not joins(graph, node, config):
                continue
            for index, name in enumerate(node.inputs):
                maker = makers.get(name)
                if name in taken or maker is not None and maker.op in VIEWED:
                    node.inputs[index] = _copied(graph, node, name)
                taken.add(node.inputs[index])


def _copied(graph: Graph, node: Node, name: str) -> str:
    type_ = graph.tensors[name]
    copy = graph.add_tensor(f"{name}.copy", type_)
    lanes = graph.add_constant(f"{copy}.qnt", scale_lanes(type_.shape[1], 1.0, -type_.zero_point, type_, {}, graph.rounding))
    graph.nodes.insert(graph.nodes.index(node), Node(copy, "requantise", [name, lanes], [copy]))
    return copy
