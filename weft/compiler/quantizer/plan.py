"""Which nodes will compute in int8, and which of their tensors share one scale."""

from dataclasses import dataclass, field

from ..graph import Graph, Node
from .prepare import is_product

SAME_SCALE = ("MaxPool", "Reshape", "Transpose", "Slice", "Pad", "Concat")  # they move values and make none
MOVES = SAME_SCALE[1:]
FUNCTIONS = ("Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu")  # tables of 256 entries


@dataclass
class Plan:
    """`nodes`: the first outputs of the nodes that compute in int8. `group`: for each tensor that is quantised, the name
    that its group goes by; tensors of a group share scale and zero point."""

    nodes: set[str] = field(default_factory=set)
    group: dict[str, str] = field(default_factory=dict)

    def computes(self, node: Node) -> bool:
        return node.outputs[0] in self.nodes

    def groups(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {}
        for name, root in self.group.items():
            members.setdefault(root, []).append(name)
        return members


def make_plan(graph: Graph) -> Plan:
    """Convolutions, products, sums, pools and clamps; functions of what those make; moves to what is quantised.

    A function that makes an output of the network stays real: its 256 values would be all that anyone sees.
    """
    plan = Plan()
    for node in graph.nodes:
        if node.op in FUNCTIONS and (node.inputs[0] not in plan.group or node.outputs[0] in graph.outputs):
            continue
        if node.op not in MOVES and computes_in_int8(graph, node):
            _add(graph, plan, node)
    for node in reversed(graph.nodes):
        if node.op in MOVES and node.outputs[0] in plan.group and computes_in_int8(graph, node):
            _add(graph, plan, node)
    _share(graph, plan)
    return plan


def activations(graph: Graph, node: Node) -> list[str]:
    """The node's inputs that are computed."""
    return [name for name in node.inputs if name and name not in graph.constants]


def computes_in_int8(graph: Graph, node: Node) -> bool:
    """Whether there is an int8 form of the node, on the accelerator or by moving stored values."""
    names = [*activations(graph, node), node.outputs[0]]
    shapes = [graph.tensors[name].shape for name in names]
    if any(graph.tensors[name].dtype != "float32" for name in names) or len(names) < 2:
        return False
    if node.op in ("Conv", "Gemm"):
        return is_product(graph, node)
    if node.op == "Add":
        return len(names) == 3 and shapes[0] == shapes[1]
    if node.op in ("AveragePool", "GlobalAveragePool", "MaxPool"):
        return len(shapes[0]) == 4
    if node.op == "Concat":
        return len(names) == len(node.inputs) + 1
    return node.op in ("Clip", *FUNCTIONS) or node.op in MOVES and len(names) == 2


def _add(graph: Graph, plan: Plan, node: Node) -> None:
    plan.nodes.add(node.outputs[0])
    for name in (*activations(graph, node), node.outputs[0]):
        plan.group.setdefault(name, name)


def _share(graph: Graph, plan: Plan) -> None:
    def root(name: str) -> str:
        while plan.group[name] != name:
            name = plan.group[name]
        return name

    for node in graph.nodes:
        if plan.computes(node) and node.op in SAME_SCALE:
            for name in activations(graph, node):
                plan.group[root(node.outputs[0])] = root(name)
    plan.group = {name: root(name) for name in plan.group}
