"""A requantise that changes no scale is a clamp, which its producer can do, or nothing at all."""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from .rewrite import bypass, only_reader, rename_output


@dataclass(frozen=True)
class FuseClamps:
    name: ClassVar[str] = "fuse-clamps"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op != "requantise" or not _same_scale(graph, node):
                continue
            lanes = graph.constants[node.inputs[1]]
            low, high = int(lanes["minimum"][0]), int(lanes["maximum"][0])
            maker = graph.producers().get(node.inputs[0])
            if (low, high) == (-128, 127):
                bypass(graph, node)
            elif maker is not None and only_reader(graph, node.inputs[0]) is node and _clamp(graph, maker, low, high):
                graph.nodes.remove(node)
                rename_output(graph, maker, node.inputs[0], node.outputs[0])


def _same_scale(graph: Graph, node: Node) -> bool:
    return graph.tensors[node.inputs[0]].quantisation == graph.tensors[node.outputs[0]].quantisation


def _clamp(graph: Graph, maker: Node, low: int, high: int) -> bool:
    if maker.op == "max_pool":
        maker.attrs["minimum"] = min(max(maker.attrs.get("minimum", -128), low), high)
        maker.attrs["maximum"] = max(min(maker.attrs.get("maximum", 127), high), low)
        return True
    if maker.op not in ("conv2d", "dense", "add", "mul", "avg_pool", "requantise") or maker.inputs[-1] not in graph.constants:
        return False
    lanes = graph.constants[maker.inputs[-1]].copy()
    lanes["minimum"], lanes["maximum"] = lanes["minimum"].clip(low, high), lanes["maximum"].clip(low, high)
    maker.inputs[-1] = graph.add_constant(maker.inputs[-1], lanes)
    return True
