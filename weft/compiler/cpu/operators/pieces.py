"""An output of interleaved rectangles, each made by another operator's kernels, which write to rows and columns that lie
apart."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...graph import Graph, Node
from ...operators.pieces import piece_node
from .. import points
from ..kernel import Kernel, View
from .registry import OPERATORS, operator

PIECE = "piece"


def _alone(node: Node, graph: Graph, index: int) -> tuple[Node, Graph]:
    """The node that makes one piece, and a graph that knows its output."""
    target, piece = graph.tensors[node.outputs[0]], node.attrs["pieces"][index]
    shape = (*target.shape[:2], piece["rows"][2], piece["columns"][2])
    return piece_node(node, index), replace(graph, tensors={**graph.tensors, PIECE: replace(target, shape=shape)})


def supports(node: Node, graph: Graph, operators: Mapping = OPERATORS, on: str = "CPU") -> str:
    """Why not all pieces have kernels in a table of operators, or ""."""
    known = operators.get(node.attrs["op"])
    if known is None:
        return f"the {on} has no kernel for {node.attrs['op']}"
    reasons = (known.supports(*_alone(node, graph, k)) for k in range(len(node.attrs["pieces"])))
    return next(filter(None, reasons), "")


def rectangle(view: View, rows: tuple[int, int, int], columns: tuple[int, int, int]) -> tuple[View, int]:
    """These rows and columns (first, step, count) of an image as a view of their own, and how many values it begins behind
    it."""
    batch, channel, row, column = view.strides
    strides = (batch, channel, row * rows[1], column * columns[1])
    border = (*view.around[:2], (0, 0), (0, 0))
    return View(view.dtype, (*view.shape[:2], rows[2], columns[2]), strides, 0, border), rows[0] * row + columns[0] * column


@operator("pieces", supports=supports)
def build(node, graph, views, form):
    """The kernels of all pieces, one after the other."""
    return joined(node, graph, views, lambda one, known, views_: OPERATORS[one.op].build(one, known, views_, form))


def joined(node: Node, graph: Graph, views: Mapping[str, View], build_one: Callable[..., "Kernel | list[Kernel]"]) -> list[Kernel]:
    """Those that `build_one` makes of (the node of a piece, a graph that knows its output, views), each writing to its rectangle."""
    whole = points.whole(node.outputs[0], views[node.outputs[0]])
    made: list[Kernel] = []
    for index, piece in enumerate(node.attrs["pieces"]):
        one, known = _alone(node, graph, index)
        view, first = rectangle(views[node.outputs[0]], piece["rows"], piece["columns"])
        kernels = build_one(one, known, {**views, PIECE: view})
        for kernel in kernels if isinstance(kernels, list) else [kernels]:
            program = points.moved(kernel.program, replace(whole, name=PIECE, offset=first))
            arguments = {whole.name if name == PIECE else name: buffer for name, buffer in program.arguments.items()}
            made.append(replace(kernel, program=replace(program, arguments=arguments)))
    return made
