"""Nodes of one place stand together as far as their inputs allow: each change of place costs a launch, or a function.

Views stand as early as they can, and separate nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph, Node


@dataclass(frozen=True)
class Order:
    name: ClassVar[str] = "order"

    def __call__(self, graph: Graph, config: Config) -> None:
        made = {name for node in graph.nodes for name in node.outputs}
        waiting, ordered = list(graph.nodes), []
        while waiting:
            for where in ("host", "cpu", "gpu", "accel"):
                waiting = _run(waiting, where, made, ordered)
        graph.nodes = ordered


def _run(waiting: list[Node], where: str, made: set[str], ordered: list[Node]) -> list[Node]:
    """Moves every node of that place, and every view, that can run now, in its old order; returns those that still wait.

    `made` are the tensors that are still to be made; nodes are in topological order, so that one sweep is enough.
    """
    left = []
    for node in waiting:
        if node.where in (where, "view") and made.isdisjoint(node.inputs):
            ordered.append(node)
            made.difference_update(node.outputs)
        else:
            left.append(node)
    return left
