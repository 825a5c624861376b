"""Notes on operators that are far slower than they need be."""

import numpy as np

from tests.compiler.frontends.qdq import Qdq
from weft.compiler import pipeline, slow
from weft.compiler.frontends import onnx as frontend
from weft.compiler.graph import Graph, Node, TensorType
from weft.isa import DEFAULT


def test_a_network_of_any_size_compiles_and_says_what_is_slow():
    """Whole blocks run at full rate; one channel in and out of a large kernel takes a block of each for every value."""
    q = Qdq((1, 1, 40, 37))
    thin = q.op("Conv", [q.x, *q.weights(q.x, (1, 1, 17, 17))], pads=[8] * 4)
    wide = q.op("Conv", [thin, *q.weights(thin, (64, 1, 3, 3))], strides=[2, 2], pads=[1] * 4)
    output = q.op("Conv", [wide, *q.weights(wide, (64, 64, 3, 3))], pads=[1] * 4)
    graph = frontend.load(q.model(output).SerializeToString(), "sizes")
    module, placed = pipeline.compile(graph, DEFAULT), pipeline.place(graph, DEFAULT)
    said = [o.reason for o in module.operators if o.where == "accel"]
    assert said == [o.reason for o in placed.operators if o.where == "accel"]
    assert said[0].startswith("slow: about ") and said[0].endswith(" of the network's") and said[2] == ""
    assert module.run(q.images(1)[0])[1].bit_exact


def test_what_an_operator_needs():
    """16 x 16 MACs or 8 bytes a cycle; a note from more than 4 times that on, and from a tenth of the network on."""
    graph = Graph("two", tensors={n: TensorType((1, 64, 8, 8), "int8") for n in ("x", "y", "z")}, inputs=["x"])
    weight = graph.add_constant("w", np.zeros((64, 64, 3, 3), np.int8))
    graph.nodes = [Node("product", "conv2d", ["x", weight], ["y"]), Node("sum", "add", ["y", "y"], ["z"])]
    needed = [slow.least(graph, node, DEFAULT) for node in graph.nodes]
    assert needed == [9 * 64 ** 3 / 256, 2 * 64 ** 2 / 8]
    assert slow.notes(graph, DEFAULT, {"y": 4 * needed[0], "z": needed[1]}) == {}
    assert slow.notes(graph, DEFAULT, {"y": 4000 * needed[0], "z": 8 * needed[1]}) == {
        "y": "slow: about 4000 times the cycles that it needs, 100% of the network's"}
    assert slow.notes(graph, DEFAULT, {"y": 6 * needed[0], "z": 12 * needed[1]}) == {
        "y": "slow: about 6 times the cycles that it needs, 82% of the network's",
        "z": "slow: about 12 times the cycles that it needs, 18% of the network's"}
    assert slow.notes(graph, DEFAULT, {}) == {}
