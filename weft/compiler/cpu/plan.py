"""The memory of a CPU program: what lies in its arena, what its caller gives, and where: `plan(graph, nodes, outputs)`.

Inputs and outputs are the caller's, row-major, and as the graph stores them; `layout` nodes bring them into the program's
layout and back where operators need that. A tensor that two nodes read with different values in its border is copied for one
of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..arena import Buffer
from ..graph import Graph, Node
from .kernel import View, plain
from .layout import SPATIAL, Border, Fill, borders, fills, images, inner_view

LAYOUT = "layout"  # an operator that changes where values lie, and nothing else
INNER = (*SPATIAL, "dense", "Gemm", "MatMul")  # operators that do not read and write the caller's tensors themselves
PRODUCTS = ("MatMul",)  # operators that take the last two axes of their tensors for matrices
SLACK = 64  # bytes behind a tensor that a whole vector may reach


@dataclass(frozen=True)
class Plan:
    """nodes: in order, layout nodes among them; makers: for each the position in the given nodes that it belongs to.

    graph: knows the types of all tensors. views: of each tensor, from the begin of its memory. offsets: bytes from the
    arena's begin, of those that lie there. inputs, outputs: names in the given graph, and by what names the nodes know them.
    fills: what is filled beside each node's work, by the tensor whose border it is.
    """

    graph: Graph
    nodes: list[Node]
    makers: list[int]
    views: dict[str, View]
    buffers: list[Buffer]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fills: dict[str, list[Fill]]


def plan(graph: Graph, nodes: Iterable[Node], outputs: Iterable[str]) -> Plan:
    """Layouts and places for these nodes, of which `outputs` are read afterwards."""
    return _Planner(graph, list(nodes), list(outputs)).plan()


class _Planner:
    def __init__(self, graph: Graph, nodes: list[Node], outputs: list[str]):
        self.graph = replace(graph, tensors=dict(graph.tensors))
        self.nodes = [replace(node, inputs=list(node.inputs), outputs=list(node.outputs)) for node in nodes]
        self.makers = list(range(len(nodes)))
        made = {name for node in nodes for name in node.outputs}
        read = dict.fromkeys(name for node in nodes for name in node.inputs)
        self.inputs = tuple(name for name in read if name and name not in made and name not in graph.constants)
        self.outputs = tuple(outputs)

    def plan(self) -> Plan:
        for name in self.inputs:
            self._bring_in(name)
        for name in self.outputs:
            self._bring_out(name)
        found, others = borders(self.graph, self.nodes)
        for node, border in others:
            self._copy(node, border, found)
        caller = {*self.inputs, *self.outputs}
        inside = images(self.graph, [node for node in self.nodes if node.op != LAYOUT])
        self._rows_of_products(inside)
        names = dict.fromkeys(name for node in self.nodes for name in (*node.inputs, *node.outputs)
                              if name and name not in self.graph.constants)
        type_ = self.graph.tensors
        views = {name: plain(type_[name].dtype, type_[name].shape) if name in caller else
                 inner_view(self.graph, name, name in inside, found.get(name)) for name in names}
        filled = {name: list(fills(views[name], border, type_[name].dtype)) for name, border in found.items()}
        buffers = self._buffers({name: view for name, view in views.items() if name not in caller})
        return Plan(self.graph, self.nodes, self.makers, views, buffers, self.inputs, self.outputs, filled)

    def _add(self, at: int, source: str, stem: str, maker: int) -> str:
        """A layout node from a tensor to a new one, whose name it returns."""
        made = self.graph.add_tensor(stem, self.graph.tensors[source])
        self.nodes.insert(at, Node(made, LAYOUT, [source], [made], where="cpu"))
        self.makers.insert(at, maker)
        return made

    def _bring_in(self, name: str) -> None:
        """Before its first reader, if there is one that needs it so."""
        readers = [k for k, node in enumerate(self.nodes) if name in node.inputs and node.op in INNER]
        if readers:
            made = self._add(readers[0], name, f"{name}.inside", self.makers[readers[0]])
            for k in readers:
                self._rename(self.nodes[k + 1].inputs, name, made)

    def _bring_out(self, name: str) -> None:
        """Behind its maker, where that or a reader needs it so; theirs is another tensor then."""
        if not any(node.op in INNER for node in self.nodes if name in (*node.inputs, *node.outputs)):
            return
        maker = next(k for k, node in enumerate(self.nodes) if name in node.outputs)
        made = self.graph.add_tensor(f"{name}.inside", self.graph.tensors[name])
        for node in self.nodes:
            self._rename(node.inputs, name, made)
        self._rename(self.nodes[maker].outputs, name, made)
        self.nodes.insert(maker + 1, Node(f"{name}.outside", LAYOUT, [made], [name], where="cpu"))
        self.makers.insert(maker + 1, self.makers[maker])

    def _rows_of_products(self, images_: set[str]) -> None:
        """Matrix products of what lies as an image go by way of tensors that lie row-major."""
        for node in [node for node in self.nodes if node.op in PRODUCTS]:
            for name in dict.fromkeys(node.inputs):
                if name in images_:
                    at = self.nodes.index(node)
                    self._rename(node.inputs, name, self._add(at, name, f"{name}.rows", self.makers[at]))
            name, at = node.outputs[0], self.nodes.index(node)
            if name in images_:
                made = self.graph.add_tensor(f"{name}.rows", self.graph.tensors[name])
                self._rename(node.outputs, name, made)
                self.nodes.insert(at + 1, Node(f"{name}.image", LAYOUT, [made], [name], where="cpu"))
                self.makers.insert(at + 1, self.makers[at])

    def _copy(self, node: Node, border: Border, found: dict[str, Border]) -> None:
        at, name = self.nodes.index(node), node.inputs[0]
        made = self._add(at, name, f"{name}.padded", self.makers[at])
        self._rename(node.inputs, name, made)
        found[made] = border

    @staticmethod
    def _rename(names: list[str], old: str, new: str) -> None:
        names[:] = [new if name == old else name for name in names]

    def _buffers(self, views: Mapping[str, View]) -> list[Buffer]:
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for position, node in enumerate(self.nodes):
            for name in (*node.inputs, *node.outputs):
                if name in views:
                    first.setdefault(name, position)
                    last[name] = position
        return [Buffer(name, "activation", view.shape, first[name], last[name], view.elements * view.itemsize + SLACK)
                for name, view in views.items()]


