"""Which nodes will compute in int8, and which of their tensors share one scale."""

from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..graph_passes.functions import BY_VALUE
from ..graph_passes.tables import is_function_of_one
from .prepare import is_product

MOVES = ("Reshape", "Transpose", "Slice", "Pad", "Concat")
SAME_SCALE = (*MOVES, "MaxPool", "Max", "Min", "Resize", "DepthToSpace", "SpaceToDepth")  # no value beyond those they read
REAL = ("Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round")  # so steep somewhere that eight bits miss them


@dataclass
class Plan:
    """`nodes`: the first outputs of the nodes that compute in int8. `group`: for each tensor that is quantised, the name
    that its group goes by; tensors of a group share scale and zero point. `symmetric`: groups whose zero point is 0."""

    nodes: set[str] = field(default_factory=set)
    group: dict[str, str] = field(default_factory=dict)
    symmetric: set[str] = field(default_factory=set)

    def computes(self, node: Node) -> bool:
        return node.outputs[0] in self.nodes

    def groups(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {}
        for name, root in self.group.items():
            members.setdefault(root, []).append(name)
        return members


def make_plan(graph: Graph) -> Plan:
    """Convolutions, products, sums, pools, resizing and clamps; functions of what those make; shares that a product takes;
    moves to what is quantised. The second of two computed factors is symmetric: it takes the place of weights. What makes
    one function of one value together stays real, and becomes a table when it is compiled.

    A function that makes an output of the network stays real: its 256 values would be all that anyone sees.
    """
    plan = Plan()
    inner = inside_functions(graph)
    for node in graph.nodes:
        if node.outputs[0] in inner:
            continue
        if is_function(graph, node) and (node.inputs[0] not in plan.group or node.outputs[0] in graph.outputs):
            continue
        if node.op not in MOVES and computes_in_int8(graph, node):
            _add(graph, plan, node)
    for node in reversed(graph.nodes):
        if node.op in MOVES and node.outputs[0] in plan.group and computes_in_int8(graph, node):
            _add(graph, plan, node)
    _share(graph, plan)
    plan.symmetric = {plan.group[node.inputs[1]] for node in graph.nodes if node.op == "MatMul" and plan.computes(node)}
    return plan


def inside_functions(graph: Graph) -> set[str]:
    """What operators on single values make on the way from one tensor to a function of it that several of them compute."""
    roots: dict[str, str] = {}
    for node in graph.nodes:
        found = {roots.get(name, name) for name in activations(graph, node)}
        numbers = all(graph.constants[name].size == 1 for name in node.inputs if name in graph.constants)
        if node.op in BY_VALUE and len(found) == 1 and numbers and len(node.outputs) == 1:
            roots[node.outputs[0]] = found.pop()
    inner: set[str] = set()
    for node in graph.nodes:
        steps = [name for name in activations(graph, node) if name in roots]
        if node.outputs[0] in roots and steps:
            inner |= {*steps, node.outputs[0]}
    return inner


def is_function(graph: Graph, node: Node) -> bool:
    """Whether the node is a table of 256 results, or a PRelu with a slope a channel."""
    if node.op == "PRelu" and node.inputs[1] in graph.constants:
        return True
    return node.op not in REAL and is_function_of_one(graph, node)


def activations(graph: Graph, node: Node) -> list[str]:
    """The node's inputs that are computed."""
    return [name for name in node.inputs if name and name not in graph.constants]


def computes_in_int8(graph: Graph, node: Node) -> bool:
    """Whether there is an int8 form of the node, on the accelerator or by moving stored values."""
    names = [*activations(graph, node), node.outputs[0]]
    shapes = [graph.tensors[name].shape for name in names]
    if any(graph.tensors[name].dtype != "float32" for name in names) or len(names) < 2:
        return False
    if node.op in ("Conv", "ConvTranspose", "Gemm"):
        return is_product(graph, node)
    if is_function(graph, node):
        return True
    if node.op in ("Add", "Sub", "Mul"):
        allowed = shapes[-1], _by_channel(shapes[-1])
        return len(names) == 3 and shapes[2] in shapes[:2] and all(shape in allowed for shape in shapes)
    if node.op in ("Max", "Min"):
        return len(names) == 3 and shapes[0] == shapes[1]
    if node.op in ("AveragePool", "GlobalAveragePool", "MaxPool", "Resize", "DepthToSpace", "SpaceToDepth"):
        return len(shapes[0]) == 4
    if node.op == "MatMul":
        return len(names) == 3 and min(map(len, shapes)) >= 2
    if node.op == "Softmax":
        readers = [r for r in graph.nodes if node.outputs[0] in r.inputs]
        return node.outputs[0] not in graph.outputs and all(r.op == "MatMul" for r in readers)
    if node.op == "Concat":
        return len(names) == len(node.inputs) + 1
    return node.op == "Clip" or node.op in MOVES and len(names) == 2


def _by_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:2], *[1] * (len(shape) - 2))


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
