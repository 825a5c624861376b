"""The DRAM plan: constants are where the plan says, space is shared."""

import numpy as np

from tests.compiler.frontends.qdq import Qdq
from weft.compiler import graph_passes, memory
from weft.compiler.frontends import onnx as frontend
from weft.isa import DEFAULT, PRESETS
from weft.runtime.layout import pack_qnt, pack_weight


def chain(depth: int):
    """A chain of convolutions with one residual sum over all of it."""
    q = Qdq((1, 16, 16, 16))
    y = q.x
    for _ in range(depth):
        y = q.op("Conv", [y, *q.weights(y, (16, 16, 3, 3))], (0.05, 0), pads=[1, 1, 1, 1])
    y = q.op("Add", [q.x, y], (0.05, 0))
    return frontend.load(q.model(y).SerializeToString(), "chain")


def test_a_chain_needs_three_maps_however_deep():
    for config in (DEFAULT, PRESETS["1x8x8"]):
        plan = memory.plan(graph_passes.run(chain(4), config), config)
        assert plan.peak == plan.lower_bound == 3 * 16 * 16 * 16


def test_addresses_of_a_placed_graph():
    graph = graph_passes.run(chain(2), DEFAULT)
    plan = memory.plan(graph, DEFAULT)
    touched = {t for n in graph.nodes if n.where == "accel" for t in (*n.inputs, *n.outputs)}
    assert set(plan.addresses) == touched
    assert all(plan.addresses[name] < plan.constants_end for name in touched & set(graph.constants))
    assert max(plan.addresses[b.name] + b.size for b in plan.buffers.values()) <= plan.size


def test_constants_are_packed_where_the_plan_says():
    graph = graph_passes.run(chain(2), DEFAULT)
    plan = memory.plan(graph, DEFAULT)
    image = memory.constants_image(graph, DEFAULT, plan)
    assert image.size == plan.constants_end
    for node in graph.nodes:
        if node.op == "conv2d":
            for name, packed in ((node.inputs[1], pack_weight(graph.constants[node.inputs[1]], DEFAULT)),
                                 (node.inputs[2], pack_qnt(graph.constants[node.inputs[2]], DEFAULT))):
                data = np.ascontiguousarray(packed).reshape(-1).view(np.uint8)
                np.testing.assert_array_equal(image[plan.addresses[name]:][:data.size], data)


def test_an_output_lives_to_the_end():
    graph = graph_passes.run(chain(1), DEFAULT)
    convolved = next(n.outputs[0] for n in graph.nodes if n.op == "conv2d")
    graph.outputs.append(convolved)
    buffers = memory.plan(graph, DEFAULT).buffers
    assert buffers[convolved].last == len(graph.nodes)


def test_text():
    text = str(memory.plan(graph_passes.run(chain(1), DEFAULT), DEFAULT))
    assert text.splitlines()[0].split() == ["0x00000000", "2304", "weight", "-1", "to", "4", "w3"]
    assert text.splitlines()[-1] == "constants 12288 bytes, activations 8192 (at least 8192)"
