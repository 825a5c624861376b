"""Operators on CPUs: each module here enters builders of kernels into the table `OPERATORS` of registry.py.

    @operator("max", "min")
    def build(node, graph, views, form) -> Kernel | list[Kernel]
"""

import importlib
import pkgutil
from collections.abc import Mapping

from weft.llvm.machine import Form

from ...graph import Graph, Node
from ..kernel import Kernel, View
from .registry import OPERATORS, Operator, operator

__all__ = ["OPERATORS", "Operator", "build", "operator", "why_not"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def why_not(node: Node, graph: Graph) -> str:
    """Why a node has no kernel for CPUs; "" where it has one."""
    known = OPERATORS.get(node.op)
    return f"the CPU has no kernel for {node.op}" if known is None else known.supports(node, graph)


def build(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> list[Kernel]:
    """The node's kernels for a form, to run one after the other."""
    made = OPERATORS[node.op].build(node, graph, views, form)
    return made if isinstance(made, list) else [made]
