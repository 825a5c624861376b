"""The table of operators that have kernels for CPUs, filled by the modules beside it as they are imported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from weft.llvm.machine import Form

from ...graph import Graph, Node
from ..kernel import Kernel, View

Build = Callable[[Node, Graph, Mapping[str, View], Form], "Kernel | list[Kernel]"]
Supports = Callable[[Node, Graph], str]


@dataclass(frozen=True)
class Operator:
    """build: kernels of a node, which run one after the other with a barrier between; views: where each tensor of the node
    that is no constant of the graph lies. supports: why it cannot be built for a node, "" where it can."""

    build: Build
    supports: Supports


OPERATORS: dict[str, Operator] = {}


def entering(table: dict[str, Operator]) -> Callable[..., Callable]:
    """The decorator `operator(*ops, supports=...)` of a table: the function builds nodes of these operators."""
    def operator(*ops: str, supports: Supports = lambda node, graph: "") -> Callable:
        def register(build: Callable) -> Callable:
            for op in ops:
                assert op not in table, op
                table[op] = Operator(build, supports)
            return build
        return register
    return operator


operator = entering(OPERATORS)
