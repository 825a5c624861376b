"""The typed graph: its text, its checks, what it counts."""

import numpy as np
import pytest

from weft.compiler.graph import Graph, Node, TensorType
from weft.isa import WeftError
from weft.isa.quantise import pack_lanes


def small() -> Graph:
    g = Graph("small", inputs=["x"], outputs=["y"])
    g.tensors["x"] = TensorType((1, 2, 4, 4), "int8", 0.5, 3)
    g.tensors["y"] = TensorType((1, 3, 2, 2), "int8", 0.25, -1)
    g.add_constant("w", np.ones((3, 2, 3, 3), np.int8), (0.1, 0.2, 0.3), (0, 0, 0), 0)
    g.add_constant("q", pack_lanes(np.zeros(3, int), 1, 0, -1, -128, 127))
    attrs = {"strides": (2, 2), "pads": (1, 1, 0, 0), "dilations": (1, 1), "groups": 1, "pad_value": 3}
    g.nodes.append(Node("c", "conv2d", ["x", "w", "q"], ["y"], attrs, "accel"))
    return g


def test_text():
    assert str(small()) == (
        "graph small (half_even)\n"
        "  input    %x: int8[1, 2, 4, 4] scale 0.5 zero 3\n"
        "  constant %w: int8[3, 2, 3, 3] scale 0.1 to 0.3 along axis 0\n"
        "  constant %q: qnt[3]\n"
        "  %y: int8[1, 3, 2, 2] scale 0.25 zero -1 = conv2d(%x, %w, %q) strides=(2, 2) pads=(1, 1, 0, 0)"
        " dilations=(1, 1) groups=1 pad_value=3 @accel\n"
        "  output   %y: int8[1, 3, 2, 2] scale 0.25 zero -1\n")


def test_macs():
    g = small()
    assert g.macs(g.nodes[0]) == 3 * 2 * 2 * 2 * 3 * 3
    g.tensors |= {"a": TensorType((2, 5), "float32"), "b": TensorType((5, 7), "float32"), "c": TensorType((2, 7), "float32")}
    assert g.macs(Node("m", "MatMul", ["a", "b"], ["c"])) == 2 * 5 * 7
    g.tensors |= {"maps": TensorType((2, 3, 2, 2), "float32"), "out": TensorType((2, 5), "float32")}
    assert g.macs(Node("f", "Gemm", ["maps", "b"], ["out"])) == 2 * 5 * 12  # of flattened maps
    assert g.macs(Node("r", "Relu", ["a"], ["a"])) == 0


def test_a_valid_graph_is_valid():
    small().validate()


def refusal(graph: Graph) -> str:
    with pytest.raises(WeftError) as caught:
        graph.validate()
    return str(caught.value)


def test_refuses_an_unknown_operator():
    g = small()
    g.nodes[0].op = "conv9d"
    assert refusal(g) == ("node 'c' (conv9d): an operator must be one that weft knows, but found 'conv9d'; "
                          "try: to replace it in the model; weft.runtime.kernels.KERNELS lists the known ones")


def test_refuses_a_tensor_without_shape():
    g = small()
    del g.tensors["y"]
    assert refusal(g) == ("node 'c' (conv2d): every tensor must have a shape and a dtype, but found none for 'y'; "
                          "try: to export the model with static shapes")


@pytest.mark.parametrize("scale, text", [(float("nan"), "nan"), (float("inf"), "inf"), (0.0, "0.0"),
                                         ((0.1, -1.0, 0.3), "-1.0")])
def test_refuses_a_bad_scale(scale, text):
    g = small()
    g.tensors["w"] = TensorType((3, 2, 3, 3), "int8", scale, 0, 0)
    assert refusal(g) == (f"tensor 'w': a scale must be finite and above zero, but found {text}; "
                          "try: to quantise the model again with data that reaches this tensor")


def test_refuses_a_zero_point_beyond_its_dtype():
    g = small()
    g.tensors["x"] = TensorType((1, 2, 4, 4), "int8", 0.5, 200)
    assert refusal(g) == "tensor 'x': a zero point must fit int8, but found 200; try: to quantise the model again"


def test_refuses_a_size_of_zero():
    g = small()
    g.tensors["x"] = TensorType((0, 2, 4, 4), "int8", 0.5, 3)
    assert refusal(g) == ("tensor 'x': every size of a shape must be a positive whole number, but found (0, 2, 4, 4); "
                          "try: to export the model with static shapes")


def test_refuses_nodes_out_of_order():
    g = small()
    g.tensors["z"] = g.tensors["y"]
    g.nodes.insert(0, Node("early", "Identity", ["y"], ["z"]))
    assert refusal(g) == ("node 'early' (Identity): an input must be made by an earlier node, but found 'y'; "
                          "try: to put the nodes in topological order")


def test_prune_drops_what_no_output_needs():
    g = small()
    g.tensors["z"] = g.tensors["y"]
    g.nodes.append(Node("dead", "Identity", ["y"], ["z"]))
    g.add_constant("unused", np.zeros(3))
    g.prune()
    assert [n.name for n in g.nodes] == ["c"] and set(g.constants) == {"w", "q"} and set(g.tensors) == {"x", "y", "w", "q"}


def test_fresh_names_do_not_collide():
    g = small()
    assert [g.add_constant("w", np.zeros(1)) for _ in range(2)] == ["w.1", "w.2"]
