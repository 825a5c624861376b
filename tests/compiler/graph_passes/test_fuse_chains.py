"""Chains of operators point by point: what is taken in, and every value stays the same."""

import numpy as np

from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes.fuse_chains import LARGEST, FuseChains
from weft.isa import DEFAULT
from weft.runtime.kernels import KERNELS

SHAPE = (3, 20)


def graph(*nodes: tuple[str, str, tuple[str, ...]], outputs=("y",)) -> Graph:
    """Nodes (name of the output, operator, inputs)."""
    made = Graph("g", inputs=["x"], outputs=list(outputs))
    made.tensors["x"] = TensorType(SHAPE, "float32")
    made.add_constant("c", np.arange(20, dtype=np.float32))
    for name, op, inputs in nodes:
        made.tensors[name] = TensorType((3, 1) if op == "ReduceMax" else SHAPE, "float32")
        made.nodes.append(Node(name, op, list(inputs), [name], {"axes": (1,)} if op == "ReduceMax" else {}, "cpu"))
    return made


def fused(plain: Graph) -> Graph:
    made = plain.copy()
    FuseChains()(made, DEFAULT)
    made.prune()
    made.validate()
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    results = []
    for each in (plain, made):
        values = {**each.constants, "x": x}
        for node in each.nodes:
            values |= zip(node.outputs, KERNELS[node.op](node.attrs, *(values[name] for name in node.inputs)))
        results.append([values[name] for name in each.outputs])
    assert all(map(np.array_equal, *results))
    return made


def test_a_function_written_out_is_one_node():
    made = fused(graph(("h", "Add", ("x", "c")), ("h2", "Mul", ("h", "h")), ("h3", "Mul", ("h2", "h")),
                       ("t", "Tanh", ("h3",)), ("y", "Mul", ("t", "h"))))
    (node,) = made.nodes
    assert (node.op, node.inputs, len(node.attrs["steps"])) == ("chain", ["x", "c"], 5)


def test_what_others_read_stays():
    made = fused(graph(("a", "Tanh", ("x",)), ("b", "Add", ("a", "c")), ("m", "ReduceMax", ("a",)),
                       ("y", "Mul", ("b", "m"))))
    assert [(node.name, node.op) for node in made.nodes] == [("a", "Tanh"), ("m", "ReduceMax"), ("y", "chain")]


def test_outputs_and_other_shapes_and_the_host_s_nodes_stay():
    made = fused(graph(("a", "Tanh", ("x",)), ("y", "Relu", ("a",)), outputs=("a", "y")))
    assert [node.op for node in made.nodes] == ["Tanh", "Relu"]
    made = fused(graph(("m", "ReduceMax", ("x",)), ("y", "Relu", ("m",))))
    assert [node.op for node in made.nodes] == ["ReduceMax", "Relu"]
    plain = graph(("a", "Tanh", ("x",)), ("y", "Relu", ("a",)))
    plain.nodes[0].where = "host"
    assert [node.op for node in fused(plain).nodes] == ["Tanh", "Relu"]


def test_chains_have_an_end():
    nodes = [("n0", "Tanh", ("x",))] + [(f"n{k}", "Neg", (f"n{k - 1}",)) for k in range(1, 80)] + [("y", "Neg", ("n79",))]
    steps = [len(node.attrs.get("steps", (node,))) for node in fused(graph(*nodes)).nodes]
    assert steps == [81 - LARGEST, LARGEST]


def test_values_that_are_read_twice_count_twice():
    squares = [(f"n{k}", "Mul", (f"n{k - 1}", f"n{k - 1}")) for k in range(1, 12)]
    nodes = [("n0", "Tanh", ("x",)), *squares, ("y", "Neg", ("n11",))]
    steps = [len(node.attrs.get("steps", (node,))) for node in fused(graph(*nodes)).nodes]
    assert steps == [2, 5, 6]  # 1 + 1 + 2 + 4 + 8 + 16 steps, 1 + 2 + 4 + 8 + 16, and what is left
