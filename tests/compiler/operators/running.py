"""Runs operators as loop programs on the interpreter, and as instructions on the functional device."""

import numpy as np
from hypothesis import strategies as st

from tests.compiler.harness import Network, assert_right, pack_constant, random_inputs, reference
from weft.compiler import interpret
from weft.compiler.operators import build
from weft.compiler.stmt import LoopProgram
from weft.isa import PRESETS, Config
from weft.runtime.layout import activation_shape, pack_activation, unpack_activation

CONFIGS = st.sampled_from([PRESETS[name] for name in ("default", "1x8x8", "2x16x16")])
THREADS = st.sampled_from([1, 2])


def packed(network: Network, config: Config, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All tensors in their physical layout; those still to be made hold a value that would show."""
    arrays = {name: pack_activation(x, config) for name, x in inputs.items()}
    for name in network.graph.constants:
        arrays[name] = pack_constant(network.graph, name, config)
    for node in network.graph.nodes:
        arrays[node.outputs[0]] = np.full(activation_shape(network.graph.tensors[node.outputs[0]].shape, config), 77,
                                          np.int8)
    return arrays


def assert_program(program: LoopProgram, network: Network, config: Config):
    """The interpreted loop program of the network's only node gives the reference's values."""
    inputs = random_inputs(network)
    arrays, name = packed(network, config, inputs), network.graph.outputs[0]
    interpret.run(program, arrays)
    expected = reference(network, inputs)[name]
    result = unpack_activation(arrays[name], expected.shape, config)
    assert np.array_equal(result, expected), f"{(result != expected).mean():.1%} of values differ"


def assert_operator(network: Network, config: Config, threads: int):
    """Loop program and instructions of the network's only node mean the same as its kernel."""
    (node,) = network.graph.nodes
    assert_program(build(node, network.graph, config, threads), network, config)
    assert_right(network, config, threads)
