"""Operators on a GPU. Those that are worth a schedule of their own have a module here; every other one takes the loops
that the CPU has for it, spread over threads.

    @operator("conv2d")
    def build(node, graph, views) -> Kernel | list[Kernel]
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace

from ...cpu import operators as of_cpu
from ...cpu.kernel import Kernel, View
from ...graph import Graph, Node
from .. import barriers
from ..expressions import FORM
from ..spread import spread
from .registry import OPERATORS, operator

__all__ = ["OPERATORS", "build", "operator", "why_not"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def why_not(node: Node, graph: Graph) -> str:
    """Why a node has no kernel for GPUs; "" where it has one."""
    own = OPERATORS.get(node.op)
    if own is not None and not own.supports(node, graph):
        return ""
    if node.op in of_cpu.OPERATORS and node.op not in ONLY_OWN:
        return of_cpu.why_not(node, graph)
    return f"the GPU has no kernel for {node.op}" if own is None else own.supports(node, graph)


ONLY_OWN = ("conv2d", "conv2d_add", "depthwise_conv2d", "dense", "Conv", "Gemm", "MatMul")  # the CPU's are for CPUs


def build(node: Node, graph: Graph, views: Mapping[str, View]) -> list[Kernel]:
    """The node's kernels, their loops bound to threads, to run one after the other."""
    own = OPERATORS.get(node.op)
    if own is not None and not own.supports(node, graph):
        made = own.build(node, graph, views)
        made = made if isinstance(made, list) else [made]
    else:
        made = [replace(kernel, program=spread(kernel.program)) for kernel in of_cpu.build(node, graph, views, FORM)]
    return [replace(kernel, program=barriers.derive(kernel.program)) for kernel in made]
