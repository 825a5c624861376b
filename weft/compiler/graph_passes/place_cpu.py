"""What the accelerator does not do is compiled for the CPU, where that has a kernel for it."""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph


@dataclass(frozen=True)
class PlaceCpu:
    """alone: whether the CPU is the only target; then there is no accelerator whose lack of an operator is a reason."""

    alone: bool = False
    name: ClassVar[str] = "place-cpu"

    def __call__(self, graph: Graph, config: Config) -> None:
        from ..cpu.operators import why_not  # brings LLVM along

        for node in graph.nodes:
            if self.alone:
                reason = why_not(node, graph)
                node.where, node.reason = ("host", node.reason or reason) if reason else ("cpu", "")
            elif node.where == "host" and not why_not(node, graph):
                node.where = "cpu"


