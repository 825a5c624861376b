import numpy as np

from tests.compiler.cpu.test_layout import convolution
from weft.compiler.arena import arrange
from weft.compiler.cpu.kernel import plain
from weft.compiler.cpu.plan import plan
from weft.compiler.graph import Graph, Node, TensorType


def listed(planned) -> list[tuple]:
    return [(node.op, *filter(lambda name: name not in planned.graph.constants, (*node.inputs, *node.outputs))) for node in planned.nodes]


def test_layout_nodes_stand_between_the_caller_and_what_needs_a_layout():
    graph = convolution()
    planned = plan(graph, graph.nodes, ["y"])
    assert listed(planned) == [("layout", "x", "x.inside"), ("conv2d", "x.inside", "y.inside"), ("layout", "y.inside", "y")]
    assert planned.makers == [0, 0, 0] and (planned.inputs, planned.outputs) == (("x",), ("y",))
    assert planned.views["x"] == plain("int8", (1, 20, 9, 9)) and planned.views["y"] == plain("int8", (1, 8, 9, 9))
    assert planned.views["x.inside"].border == ((0, 0), (0, 12), (1, 1), (1, 1)) and planned.views["y.inside"].dtype == "uint8"
    assert {b.name for b in planned.buffers} == {"x.inside", "y.inside"} and set(planned.fills) == {"x.inside"}
    assert [node.op for node in graph.nodes] == ["conv2d"] and graph.nodes[0].inputs[0] == "x"


def relus(count: int, size: int = 8, op: str = "Relu") -> Graph:
    graph = Graph("g", inputs=["t0"], outputs=[f"t{count}"])
    graph.tensors = {f"t{k}": TensorType((1, 3, size, size), "float32") for k in range(count + 1)}
    graph.nodes = [Node(f"n{k}", op, [f"t{k}"], [f"t{k + 1}"], {}, "cpu") for k in range(count)]
    return graph


def test_operators_by_value_read_and_write_the_callers_tensors():
    graph = relus(3)
    planned = plan(graph, graph.nodes, ["t2", "t3"])
    assert [op for op, *_ in listed(planned)] == ["Relu"] * 3
    assert {b.name for b in planned.buffers} == {"t1"} and planned.outputs == ("t2", "t3")


def test_the_arena_is_shared_by_lifetime():
    graph = relus(8, size=64)
    planned = plan(graph, graph.nodes, ["t8"])
    assert len(planned.buffers) == 7 and len(set(arrange(planned.buffers).values())) == 2


def test_a_second_value_of_padding_needs_a_copy():
    graph = convolution()
    first = graph.nodes[0]
    graph.tensors["z"] = graph.tensors["y"]
    graph.nodes.append(Node("second", "conv2d", list(first.inputs), ["z"], first.attrs | {"pad_value": 0}, "cpu"))
    planned = plan(graph, graph.nodes, ["y", "z"])
    assert listed(planned)[:2] == [("layout", "x", "x.inside"), ("conv2d", "x.inside", "y.inside")]
    assert ("layout", "x.inside", "x.inside.padded") in listed(planned) and ("conv2d", "x.inside.padded", "z.inside") in listed(planned)
    assert [fill.pattern & 0xFF for name in ("x.inside", "x.inside.padded") for fill in planned.fills[name]] == [133] * 3 + [128] * 3
    assert planned.makers == [0, 0, 0, 1, 1, 1]


def test_absent_inputs_and_constants_have_no_place():
    graph = relus(1)
    low = graph.add_constant("low", np.float32(0))
    graph.nodes[0] = Node("clip", "Clip", ["t0", low, ""], ["t1"], {}, "cpu")
    planned = plan(graph, graph.nodes, ["t1"])
    assert set(planned.views) == {"t0", "t1"} and planned.inputs == ("t0",)
