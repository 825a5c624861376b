"""Outputs of interleaved rectangles on CPUs: equal to NumPy's, bit for bit."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, run
from tests.compiler.cpu.operators.test_integers import lanes
from tests.compiler.operators.test_pieces import axes
from weft.compiler.cpu.layout import inner_view, reach
from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes.legalise import runs


@settings(max_examples=8)
@given(st.sampled_from(["conv2d", "avg_pool"]), axes(), axes(), st.integers(1, 2), st.integers(1, 40), st.integers(0, 99),
       st.sampled_from(FORMS))
def test_random_pieces(op, rows, columns, batch, channels, seed, form):
    rng = np.random.default_rng(seed)
    outputs = 20 if op == "conv2d" else channels
    x = integers(rng, (batch, channels, rows[0], columns[0]))
    graph = Graph("test", inputs=["x"], outputs=["y"])
    graph.tensors |= {"x": TensorType(x.shape, "int8"), "y": TensorType((batch, outputs, rows[1], columns[1]), "int8")}

    def piece(row, column):
        kernel = len(row.taps), len(column.taps)
        if op == "avg_pool":
            q = lanes(rng, outputs, 128 * kernel[0] * kernel[1], seed % 3, True)
            return [graph.add_constant("q", q)], {"kernel": kernel, "pad_value": 5}
        weight = graph.add_constant("w", integers(rng, (outputs, channels, *kernel)))
        largest = 1 << 14 if channels < 4 else 1 << 18
        q = graph.add_constant("q", lanes(rng, outputs, largest, seed % 3, True))
        return [weight, q], {"pad_value": -7, "dilations": (1, 1), "groups": 1}

    runs.add_pieces(graph, Node("pieces", "", ["x"], ["y"]), op, x.shape, (rows[2], columns[2]), piece, {}, "y")
    border = reach(graph.nodes[0], graph)
    views = {"x": inner_view(graph, "x", True, border), "y": inside(graph, "y")}
    (found,) = run(graph, {"x": x}, views, form, 2, {"x": border.value} if border else {})
    assert np.array_equal(found, meaning(graph, {"x": x})[0])


def test_pieces_of_what_has_no_kernel_are_refused():
    from weft.compiler.cpu import operators

    x = integers(np.random.default_rng(0), (1, 3, 4, 4))
    graph = graph_of("max", {"x": x, "z": x}, {})
    graph.nodes = [replace(graph.nodes[0], op="pieces", attrs={"op": "none", "pieces": ()})]
    assert operators.why_not(graph.nodes[0], graph) == "the CPU has no kernel for none"
