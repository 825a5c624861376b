"""What computes in int8, and which tensors share a scale."""

from weft.compiler.quantizer.plan import make_plan
from weft.compiler.quantizer.prepare import prepare

from .networks import depthwise, functions, graph_of, mixed


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
    assert [node.op for node in graph.nodes if plan.computes(node)] == ["Conv", "LeakyRelu", "Conv", "Conv", "Add"]
    assert "leaky" in plan.group and "mean" not in plan.group
