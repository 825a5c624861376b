"""Whole networks as GPU programs, by the meaning of their kernels; ptxas accepts the PTX."""

import numpy as np

from tests.compiler.cpu.harness import graph_of
from tests.compiler.gpu.harness import PTXAS, built, needs_ptxas, run
from tests.conftest import ROOT
from weft.compiler import frontends, graph_passes
from weft.compiler.cpu.kernel import channels_last
from weft.compiler.cpu.layout import Border, fills
from weft.compiler.gpu import lockstep, program, ptx
from weft.compiler.graph import Node
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
    x = np.zeros((1, 16, 3, 3), np.int8)
    graph = graph_of("lut", {"x": x}, {}, {"t": np.arange(256).astype(np.int8)})
    for k in range(3):
        graph.tensors[f"z{k}"] = graph.tensors["x"]
        graph.nodes.append(Node(f"again{k}", "lut", [graph.outputs[0], "t"], [f"z{k}"]))
        graph.outputs = [f"z{k}"]
    made = built(graph)
    symbols = {step.symbol for step in made.steps}
    assert made.ptx.count(".visible .entry") == len(symbols) < len(made.steps)
    assert built(graph).ptx == made.ptx


@needs_ptxas
def test_ptx_for_each_architecture_passes_ptxas():
    for architecture in ptx.ARCHITECTURES:
        text = built(network(DIGITS), architecture).ptx
        assert "mma.sync" in text and "spill" in ptx.assemble(text, architecture, PTXAS)


def test_a_border_is_filled_by_one_kernel_and_nothing_else_is():
    border = Border((2, 1, 1, 3), 7)
    view = channels_last("uint8", (2, 5, 4, 6), border.around)
    made = program.fill(sorted(fills(view, border, "uint8"), key=lambda f: f.offset))
    memory = np.zeros((2, 4 + 3, 6 + 4, 16), np.uint8)
    words = memory.reshape(-1).view(np.int32)
    lockstep.run(made, {"border": words[:made.arguments["border"].span]})
    inside = np.zeros_like(memory)
    inside[:, 2:6, 1:7] = 1
    assert np.array_equal(memory, np.where(inside, 0, 7))
