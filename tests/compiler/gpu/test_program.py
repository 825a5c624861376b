"""Whole networks as GPU programs, by the meaning of their kernels; ptxas accepts the PTX."""

import numpy as np

from tests.compiler.gpu.harness import PTXAS, built, needs_ptxas, run
from tests.conftest import ROOT
from weft.compiler import frontends, graph_passes
from weft.compiler.gpu import ptx
from weft.isa import DEFAULT
from weft.runtime import kernels

DIGITS = ROOT / "examples" / "digits" / "digits_int8.onnx"


def network(path):
    return graph_passes.run(frontends.load(path), DEFAULT, passes=graph_passes.for_targets(("cpu",)))


def test_a_network_equals_the_reference():
    graph = network(DIGITS)
    x = np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)
    values = {**graph.constants, graph.inputs[0]: x}
    for node in graph.nodes:
        values |= zip(node.outputs, kernels.run(node.op, node.attrs, *(values[name] if name else None for name in node.inputs)))
    assert np.array_equal(run(graph, {graph.inputs[0]: x})[0], values[graph.outputs[0]])


def test_equal_kernels_are_one_function_and_ptx_is_the_same_twice():
    made = built(network(DIGITS))
    symbols = {step.symbol for step in made.steps}
    assert made.ptx.count(".visible .entry") == len(symbols) < len(made.steps)
    assert built(network(DIGITS)).ptx == made.ptx


@needs_ptxas
def test_ptx_for_each_architecture_passes_ptxas():
    for architecture in ptx.ARCHITECTURES:
        text = built(network(DIGITS), architecture).ptx
        assert "mma.sync" in text and "spill" in ptx.assemble(text, architecture, PTXAS)
