"""Outputs of interleaved rectangles: every operator that can make pieces, with random runs of rows and columns."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator
from weft.compiler.graph import Node, TensorType
from weft.compiler.graph_passes.legalise import runs


@st.composite
def axes(draw) -> tuple[int, int, list[runs.Run]]:
    """Size of an input's axis, of the output's, and its runs: of a transposed convolution, or any windows."""
    size = draw(st.integers(1, 7))
    if draw(st.booleans()):
        kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
        before, after = draw(st.integers(0, kernel - 1)), draw(st.integers(-2, 0))
        out = max((size - 1) * stride + kernel - before - after, 1)
        return size, out, runs.transposed(size, out, kernel, stride, before)
    windows = draw(st.lists(st.tuples(st.integers(-2, size), st.sampled_from([(0,), (1, 0), (0, 0, 0)])), min_size=1,
                            max_size=6))
    return size, len(windows), runs.runs(windows, draw(st.integers(1, 3)))


@settings(max_examples=30)
@given(st.sampled_from(["conv2d", "depthwise_conv2d", "avg_pool"]), axes(), axes(), st.integers(1, 2), st.integers(1, 40),
       st.integers(0, 99), CONFIGS, THREADS)
def test_random_pieces(op, rows, columns, batch, channels, seed, config, threads):
    network = Network(seed)
    graph, x = network.graph, network.input(batch, channels, rows[0], columns[0])
    outputs = 20 if op == "conv2d" else channels
    y = graph.add_tensor("y", TensorType((batch, outputs, rows[1], columns[1]), "int8"))

    def piece(row: runs.Run, column: runs.Run) -> tuple[list[str], dict]:
        kernel = len(row.taps), len(column.taps)
        qnt = network._lanes(outputs, int(np.prod(kernel)) * (channels if op == "conv2d" else 1))
        if op == "avg_pool":
            return [qnt], {"kernel": kernel, "pad_value": 5}
        shape = (outputs, channels if op == "conv2d" else 1, *kernel)
        weight = graph.add_constant("w", network.rng.integers(-128, 128, shape, np.int8))
        return [weight, qnt], {"pad_value": -7} | ({"dilations": (1, 1), "groups": 1} if op == "conv2d" else {})

    runs.add_pieces(graph, Node("pieces", "", [x], [y]), op, graph.tensors[x].shape, (rows[2], columns[2]), piece, {}, y)
    graph.nodes[0].where, graph.outputs = "accel", [y]
    assert_operator(network, config, threads)
