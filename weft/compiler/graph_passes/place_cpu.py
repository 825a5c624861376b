"""What the accelerator does not do is compiled for the CPU, where that has a kernel for it."""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph
from .place import place_compiled


@dataclass(frozen=True)
class PlaceCpu:
    """alone: whether the CPU is the only target; then there is no accelerator whose lack of an operator is a reason."""

    alone: bool = False
    name: ClassVar[str] = "place-cpu"

    def __call__(self, graph: Graph, config: Config) -> None:
        from ..cpu.operators import why_not  # brings LLVM along

        place_compiled(graph, "cpu", why_not, self.alone)
