"""A sum is computed where the convolution before it leaves its tile: add(conv2d(x), y) -> conv2d_add(x, y).

The convolution's result is requantised as it would be, and then added, so that every byte stays the same; but it is not
stored and loaded again, and the sum runs beside the products of the next tile.
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node
from .rewrite import only_reader


@dataclass(frozen=True)
class FuseSums:
    """where: the place whose sums and convolutions these are."""

    where: str = "accel"
    name: ClassVar[str] = "fuse-sums"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op == "add" and node.where == self.where and node.inputs[0] != node.inputs[1]:
                makers = [graph.producers().get(name) for name in node.inputs[:2]]
                candidates = [k for k, maker in enumerate(makers)
                              if maker is not None and _can_take(graph, maker, self.where) and node.inputs[1 - k] not in maker.inputs]
                if candidates:
                    side = max(candidates, key=lambda k: graph.macs(makers[k]))  # most products, least in the way of them
                    _fuse(graph, node, makers[side], side)


def _can_take(graph: Graph, maker: Node, where: str) -> bool:
    """A convolution there that nobody else reads, and that ends with its requantisation."""
    return maker.op == "conv2d" and maker.where == where and len(maker.inputs) == 3 \
        and maker.inputs[0] not in graph.inputs \
        and only_reader(graph, maker.outputs[0]) is not None


def _fuse(graph: Graph, node: Node, maker: Node, side: int) -> None:
    factors = node.attrs["multipliers"]
    node.op, node.attrs = "conv2d_add", {**maker.attrs, "multipliers": (factors[side], factors[1 - side])}
    node.inputs = [*maker.inputs, node.inputs[1 - side], *node.inputs[2:]]
    graph.nodes.remove(maker)
