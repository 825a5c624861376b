"""Says of every node where it runs and, of those on the host, why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import ACCELERATOR, Graph, Node
from ..operators.pieces import piece_node
from ..sharing import joins
from .tables import UNARY

QUANTISABLE = ("Conv", "ConvTranspose", "Gemm", "Resize", "DepthToSpace", "SpaceToDepth", "PRelu", "Max", "Min", "Add",
               "Sub",
               "Mul", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat",
               *UNARY)
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
            reason = host_reason(graph, node, config)
            node.where, node.reason = ("host", node.reason or reason) if reason else ("accel", "")


def place_compiled(graph: Graph, where: str, why_not: Callable[[Node, Graph], str], alone: bool) -> None:
    """Places on the CPU or a GPU what has a kernel there: all nodes where it is alone, else those that were left to the host."""
    for node in graph.nodes:
        if alone:
            reason = why_not(node, graph)
            node.where, node.reason = ("host", node.reason or reason) if reason else (where, "")
        elif node.where == "host" and not why_not(node, graph):
            node.where = where


def host_reason(graph: Graph, node: Node, config: Config) -> str:
    """Why a node cannot run on the accelerator; "" where it can."""
    if node.op not in ACCELERATOR:
        if node.op in QUANTISABLE:
            return "it is not quantised: `weft quantize` first"
        if node.op[0].isupper():
            return "computes with real numbers"
        return _EDGE.get(node.op, f"the accelerator has no operator for {node.op}")
    ranks = {len(graph.tensors[name].shape) for name in (node.inputs[0], *node.outputs) if name in graph.tensors}
    if not ranks <= {2, 4}:
        return f"the accelerator's tensors have 2 or 4 axes, not {max(ranks)}"
    if node.op in ("concat", "slice"):
        return "" if joins(graph, node, config) else "its channels are no whole blocks"
    if node.op == "pieces":
        reasons = (host_reason(graph, piece_node(node, i), config) for i in range(len(node.attrs["pieces"])))
        return next(filter(None, reasons), "")
    if node.op == "conv2d" and not _whole_blocks(graph, node, config):
        return f"its {node.attrs['groups']} groups share blocks of {config.block_in} channels"
    if node.op in ("add", "mul") and not _by_point_or_channel(graph, node):
        return "its inputs broadcast otherwise than one value a channel"
    if node.inputs[-1] not in graph.constants and node.op not in ("max_pool", "max", "min", "dense"):
        return "its parameters are not constant"
    return ""


def _by_point_or_channel(graph: Graph, node: Node) -> bool:
    whole = graph.tensors[node.outputs[0]].shape
    return all(graph.tensors[name].shape in (whole, (*whole[:2], *[1] * (len(whole) - 2))) for name in node.inputs[:2])


def _whole_blocks(graph: Graph, node: Node, config: Config) -> bool:
    groups, (o, each_in, *_) = node.attrs["groups"], graph.tensors[node.inputs[1]].shape
    return groups == 1 or each_in % config.block_in == 0 and o // groups % config.block_out == 0
