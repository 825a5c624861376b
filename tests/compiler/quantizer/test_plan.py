"""What computes in int8, and which tensors share a scale."""

from weft.compiler.quantizer.plan import make_plan
from weft.compiler.quantizer.prepare import prepare

from .networks import Builder, depthwise, functions, graph_of, mixed, tokens


def test_everything_in_a_plain_network():
    graph = prepare(graph_of(depthwise()))
    plan = make_plan(graph)
    assert all(plan.computes(node) for node in graph.nodes)
    assert plan.group["pool"] == plan.group["sum.relu"] != plan.group["mean"] == plan.group["flat"]


def test_real_functions_stay_and_moves_share():
    graph = prepare(graph_of(mixed()))
    plan = make_plan(graph)
    assert [node.op for node in graph.nodes if not plan.computes(node)] == ["Sigmoid"]
    assert len({plan.group[name] for name in ("a", "slice", "pad", "both", "second")}) == 1  # concat joins what it reads
    assert "gate" not in plan.group


def test_functions_follow_products_but_for_the_last():
    graph = prepare(graph_of(functions()))
    plan = make_plan(graph)
    computed = [node.op for node in graph.nodes if plan.computes(node)]
    assert computed == ["Conv", "LeakyRelu", "Slice", "Slice", "Conv", "Conv", "Add"]
    assert "leaky" in plan.group and "mean" not in plan.group


def test_second_factors_are_symmetric_and_their_shares_int8():
    graph = prepare(graph_of(tokens()))
    plan = make_plan(graph)
    assert plan.symmetric == {plan.group["turned"]} == {plan.group["biased"]}
    assert {"scores", "shares", "mixed"} <= plan.nodes and plan.group["shares"] not in plan.symmetric


def test_one_function_of_several_operators_stays_real():
    b = Builder(0)
    x = b.conv("image", "first", 3, 8, 3)
    b.add("Mul", [b.add("Sigmoid", [x], "gate"), x], "silu")
    b.add("Add", [b.conv("silu", "second", 8, 8, 3), b.add("LeakyRelu", [x], "leaky")], "sum")
    graph = prepare(graph_of(b.model({"image": [1, 3, 8, 8]}, {"sum": [1, 8, 8, 8]})))
    plan = make_plan(graph)
    assert [node.op for node in graph.nodes if not plan.computes(node)] == ["Sigmoid", "Mul"]
    assert {"first", "silu", "leaky", "sum"} <= set(plan.group) and "gate" not in plan.group
