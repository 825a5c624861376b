"""The table of operators that have schedules for GPUs, filled by the modules beside it as they are imported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...cpu.kernel import Kernel, View
from ...graph import Graph, Node

Build = Callable[[Node, Graph, Mapping[str, View]], "Kernel | list[Kernel]"]
Supports = Callable[[Node, Graph], str]


@dataclass(frozen=True)
class Operator:
    """build: kernels of a node; views: where each of its tensors lies that is no constant. supports: why it cannot be built
    for a node, "" where it can."""

    build: Build
    supports: Supports


OPERATORS: dict[str, Operator] = {}


def operator(*ops: str, supports: Supports = lambda node, graph: "") -> Callable[[Build], Build]:
    """Decorator: the function builds nodes of these operators."""
    def register(build: Build) -> Build:
        for op in ops:
            assert op not in OPERATORS, op
            OPERATORS[op] = Operator(build, supports)
        return build
    return register
