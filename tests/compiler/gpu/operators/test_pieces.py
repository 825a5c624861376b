"""Outputs of interleaved rectangles on GPUs: equal to NumPy's, bit for bit."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import integers, meaning
from tests.compiler.cpu.operators.test_integers import lanes
from tests.compiler.gpu.harness import run
from weft.compiler.gpu import operators
from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes.legalise import runs


@pytest.mark.parametrize("op, channels, outputs", [("conv2d", 9, 20), ("avg_pool", 17, 17)])
def test_a_transposed_convolution(op, channels, outputs):
    """Of stride 2 and 3 by 3 taps: four pieces, of one or two rows and columns of taps."""
    rng = np.random.default_rng(0)
    x = integers(rng, (2, channels, 5, 4))
    graph = Graph("test", inputs=["x"], outputs=["y"])
    graph.tensors |= {"x": TensorType(x.shape, "int8"), "y": TensorType((2, outputs, 10, 8), "int8")}

    def piece(row, column):
        kernel = len(row.taps), len(column.taps)
        q = graph.add_constant("q", lanes(rng, outputs, 1 << 17 if op == "conv2d" else 128 * kernel[0] * kernel[1], 1, True))
        if op == "avg_pool":
            return [q], {"kernel": kernel, "pad_value": 5}
        return [graph.add_constant("w", integers(rng, (outputs, channels, *kernel))), q], {"pad_value": -7, "dilations": (1, 1), "groups": 1}

    axes = tuple(runs.transposed(size, 2 * size, 3, 2, 1) for size in x.shape[2:])
    runs.add_pieces(graph, Node("pieces", "", ["x"], ["y"]), op, x.shape, axes, piece, {}, "y")
    assert graph.nodes[0].op == "pieces" and operators.why_not(graph.nodes[0], graph) == ""
    assert np.array_equal(run(graph, {"x": x})[0], meaning(graph, {"x": x})[0])
