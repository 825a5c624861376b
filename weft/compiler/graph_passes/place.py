"""Says of every node where it runs and, of those on the host, why."""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import ACCELERATOR, Graph, Node

_EDGE = {
    "quantize": "makes int8 of real numbers", "dequantize": "makes real numbers of int8",
    "transpose": "changes the layout", "reshape": "changes the layout",
    "uint8_to_int8": "changes the dtype at the edge", "int8_to_uint8": "changes the dtype at the edge",
}


@dataclass(frozen=True)
class Place:
    name: ClassVar[str] = "place"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in graph.nodes:
            reason = host_reason(graph, node)
            node.where, node.reason = ("host", node.reason or reason) if reason else ("accel", "")


def host_reason(graph: Graph, node: Node) -> str:
    """Why a node cannot run on the accelerator; "" where it can."""
    if node.op not in ACCELERATOR:
        if node.op[0].isupper():
            return "computes with real numbers"
        return _EDGE.get(node.op, f"the accelerator has no operator for {node.op}")
    ranks = {len(graph.tensors[name].shape) for name in (node.inputs[0], node.outputs[0])}
    if not ranks <= {2, 4}:
        return f"the accelerator's tensors have 2 or 4 axes, not {max(ranks)}"
    if node.op == "conv2d" and node.attrs["groups"] != 1:
        return f"it has {node.attrs['groups']} groups"
    if node.inputs[-1] not in graph.constants and node.op != "max_pool":
        return "its parameters are not constant"
    return ""
