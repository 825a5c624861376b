"""Runs graphs by their GPU kernels' meaning, and holds the PTX against ptxas where there is one."""

from collections.abc import Mapping

import numpy as np
import pytest

from weft.compiler.gpu import operators, program, ptx, reference
from weft.compiler.graph import Graph

PTXAS = ptx.find_ptxas()
needs_ptxas = pytest.mark.skipif(PTXAS is None, reason="ptxas is not on PATH")


def built(graph: Graph, architecture: str = ptx.DEFAULT) -> program.Program:
    for node in graph.nodes:
        assert operators.why_not(node, graph) == ""
    return program.build(graph, graph.nodes, graph.outputs, architecture)


def run(graph: Graph, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of a graph; its PTX passes ptxas for every architecture that is tested."""
    made = built(graph)
    if PTXAS:
        for architecture in ptx.ARCHITECTURES:
            ptx.assemble(made.ptx, architecture, PTXAS)
    types = {name: (graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.outputs}
    found = reference.run(made, inputs, types)
    return [found[name] for name in graph.outputs]
