"""What the accelerator does not do is compiled for a GPU, where that has a kernel for it."""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph
from .place import place_compiled


@dataclass(frozen=True)
class PlaceGpu:
    """alone: whether the GPU is the only target; then there is no accelerator whose lack of an operator is a reason."""

    alone: bool = False
    name: ClassVar[str] = "place-gpu"

    def __call__(self, graph: Graph, config: Config) -> None:
        from ..gpu.operators import why_not  # brings LLVM along

        place_compiled(graph, "gpu", why_not, self.alone)
