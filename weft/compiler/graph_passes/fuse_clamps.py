"""A requantise that changes no scale is a clamp, which its producer can do, or nothing at all."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.isa.quantise import unpack_lanes

from ..graph import Graph, Node
from .rewrite import bypass, only_reader, rename_output


@dataclass(frozen=True)
class FuseClamps:
    name: ClassVar[str] = "fuse-clamps"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op != "requantise" or not _only_clamps(graph, node):
                continue
            lanes = graph.constants[node.inputs[1]]
            low, high = int(lanes["minimum"][0]), int(lanes["maximum"][0])
            maker = graph.producers().get(node.inputs[0])
            if (low, high) == (-128, 127):
                bypass(graph, node)
            elif maker is not None and only_reader(graph, node.inputs[0]) is node and _clamp(graph, maker, low, high):
                graph.nodes.remove(node)
                rename_output(graph, maker, node.inputs[0], node.outputs[0])


def _only_clamps(graph: Graph, node: Node) -> bool:
    """Whether values within limits that all channels share stay as they are."""
    type_, lanes = graph.tensors[node.inputs[0]], unpack_lanes(graph.constants[node.inputs[1]])
    if type_.quantisation != graph.tensors[node.outputs[0]].quantisation or len(node.inputs) > 2:
        return False
    ones = lanes["multiplier"] == 1 << lanes["shift"].astype(np.int64)
    same = (lanes["minimum"] == lanes["minimum"][0]) & (lanes["maximum"] == lanes["maximum"][0])
    return bool((ones & same & (lanes["bias"] == -type_.zero_point)).all())


def _clamp(graph: Graph, maker: Node, low: int, high: int) -> bool:
    if maker.op == "max_pool":
        maker.attrs["minimum"] = min(max(maker.attrs.get("minimum", -128), low), high)
        maker.attrs["maximum"] = max(min(maker.attrs.get("maximum", 127), high), low)
        return True
    with_lanes = maker.op in ("conv2d", "dense", "add", "mul", "avg_pool", "requantise")
    if not with_lanes or maker.inputs[-1] not in graph.constants:
        return False
    lanes = graph.constants[maker.inputs[-1]].copy()
    lanes["minimum"], lanes["maximum"] = lanes["minimum"].clip(low, high), lanes["maximum"].clip(low, high)
    maker.inputs[-1] = graph.add_constant(maker.inputs[-1], lanes)
    return True
