"""Small changes of a graph that several passes make."""

from collections.abc import Callable

from ..graph import Graph, Node


def until_stable(graph: Graph, *steps: Callable[[Graph, Node], bool]) -> None:
    """Applies steps, each of which says whether it changed the graph, to every node in turn until none changes anything."""
    changed = True
    while changed:
        changed, alive = False, set(map(id, graph.nodes))
        for node in list(graph.nodes):
            if id(node) in alive and any(step(graph, node) for step in steps):
                changed, alive = True, set(map(id, graph.nodes))


def substitute(graph: Graph, old: str, new: str) -> None:
    """Whoever reads tensor `old` reads `new`; the graph's outputs keep their names and are not touched."""
    for node in graph.nodes:
        node.inputs = [new if name == old else name for name in node.inputs]


def bypass(graph: Graph, node: Node) -> bool:
    """Takes a node of one input and one output away, where no network output's name is lost by that; says whether it did."""
    source, target = node.inputs[0], node.outputs[0]
    if target in graph.outputs:
        maker = graph.producers().get(source)
        if maker is None or source in graph.outputs:
            return False
        graph.nodes.remove(node)
        rename_output(graph, maker, source, target)
        return True
    graph.nodes.remove(node)
    substitute(graph, target, source)
    return True


def rename_output(graph: Graph, maker: Node, old: str, new: str) -> None:
    """The tensor that `maker` makes is called `new`, and has the type that it had under `old`."""
    maker.outputs = [new if name == old else name for name in maker.outputs]
    graph.tensors[new] = graph.tensors[old]
    substitute(graph, old, new)


def only_reader(graph: Graph, name: str) -> Node | None:
    """The one node that reads the tensor, where it is read once and is no output of the network."""
    readers = [node for node in graph.nodes for i in node.inputs if i == name]
    return readers[0] if len(readers) == 1 and name not in graph.outputs else None
