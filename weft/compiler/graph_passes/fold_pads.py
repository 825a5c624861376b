"""conv2d(pad(x)) -> conv2d(x) with pads, and so for pools, where the pad adds the value that padding there means."""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from .rewrite import substitute


@dataclass(frozen=True)
class FoldPads:
    name: ClassVar[str] = "fold-pads"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op == "pad" and _spatial(node) and node.outputs[0] not in graph.outputs:
                readers = graph.consumers()[node.outputs[0]]
                if readers and all(_takes(reader, node) for reader in readers):
                    for reader in readers:
                        reader.attrs["pads"] = _sum(reader.attrs["pads"], node.attrs)
                    substitute(graph, node.outputs[0], node.inputs[0])
                    graph.nodes.remove(node)


def _spatial(node: Node) -> bool:
    before, after = node.attrs["before"], node.attrs["after"]
    return len(before) == 4 and not any((*before[:2], *after[:2]))


def _takes(reader: Node, pad: Node) -> bool:
    """Whether padding by `reader` is what `pad` does: its value, -128 for max_pool, which never wins."""
    if reader.op == "max_pool":
        return pad.attrs["value"] == -128
    return reader.op in ("conv2d", "avg_pool") and reader.attrs["pad_value"] == pad.attrs["value"]


def _sum(pads: tuple[int, ...], attrs: dict) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(pads, (*attrs["before"][2:], *attrs["after"][2:]), strict=True))
