"""The PTX that was generated does what the loops mean: networks and operators, instruction by instruction."""

import numpy as np
import pytest

from tests.compiler.gpu import ptx_machine
from tests.compiler.gpu.harness import built
from tests.compiler.gpu.operators.test_products import CASES, convolution
from tests.compiler.gpu.test_program import DIGITS, network
from tests.compiler.cpu.harness import graph_of, integers, meaning, reals
from tests.compiler.cpu.operators.test_integers import lanes


def run(graph, inputs) -> list[np.ndarray]:
    """The outputs by the PTX of the graph's kernels."""
    made = built(graph)
    kernels = ptx_machine.parse(made.ptx)
    constants = -(-made.arena_size // 4096) * 4096
    memory = np.full(constants + made.constants.size + 4096, 0x5A, np.uint8)
    memory[constants:constants + made.constants.size] = made.constants
    for name, offset in made.inputs.items():
        data = np.ascontiguousarray(inputs[name]).reshape(-1).view(np.uint8)
        memory[offset:offset + data.size] = data
    for step in made.steps:
        assert kernels[step.symbol].block == step.sizes.block
        begins = {"arena": ptx_machine.GLOBAL, "constants": ptx_machine.GLOBAL + constants}
        ptx_machine.launch(kernels[step.symbol], step.sizes.grid, memory, [begins[p.memory] + p.offset for p in step.places])
    found = []
    for name in graph.outputs:
        type_ = graph.tensors[name]
        size = int(np.prod(type_.shape)) * type_.numpy.itemsize
        found.append(memory[made.outputs[name]:made.outputs[name] + size].view(type_.numpy).reshape(type_.shape))
    return found


@pytest.mark.parametrize("case", CASES)
def test_convolutions_on_tensor_cores(case):
    graph, inputs = convolution(np.random.default_rng(0), *CASES[case])
    assert np.array_equal(run(graph, inputs)[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("rounding, uniform, table, added", [(0, False, True, True), (2, True, False, False), (1, True, True, True)])
def test_what_follows_the_sums(rounding, uniform, table, added):
    graph, inputs = convolution(np.random.default_rng(1), (1, 20, 6, 5), 24, (3, 3), 1, (1, 1, 1, 1), 1, rounding, uniform, table, added)
    assert np.array_equal(run(graph, inputs)[0], meaning(graph, inputs)[0])


def test_windows():
    rng = np.random.default_rng(2)
    x = integers(rng, (1, 20, 9, 7))
    attrs = {"strides": (2, 1), "pads": (1, 1, 1, 1), "pad_value": 9}
    constants = {"w": integers(rng, (20, 1, 3, 3)), "q": lanes(rng, 20, 36000, 1, False)}
    for op, more, given in (("depthwise_conv2d", {}, constants), ("max_pool", {"kernel": (3, 3)}, {}),
                            ("avg_pool", {"kernel": (2, 3)}, {"q": lanes(rng, 20, 1200, 2, True)})):
        graph = graph_of(op, {"x": x}, attrs | more, given)
        assert np.array_equal(run(graph, {"x": x})[0], meaning(graph, {"x": x})[0])


def test_products_of_real_numbers():
    rng = np.random.default_rng(3)
    for op, inputs, attrs, constants in (
            ("Conv", {"x": reals(rng, (1, 5, 7, 6))}, {"pads": (1, 1, 1, 1)}, {"w": reals(rng, (9, 5, 3, 3)), "b": reals(rng, (9,))}),
            ("MatMul", {"a": reals(rng, (2, 5, 18)), "b": reals(rng, (2, 18, 7))}, {}, {})):
        graph = graph_of(op, inputs, attrs, constants)
        expected = meaning(graph, inputs)[0]
        assert np.abs(run(graph, inputs)[0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_network():
    graph, x = network(DIGITS), np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)
    from tests.compiler.gpu.harness import run as by_loops

    assert np.array_equal(run(graph, {graph.inputs[0]: x})[0], by_loops(graph, {graph.inputs[0]: x})[0])
