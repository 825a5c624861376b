"""An output of interleaved rectangles: the loop program of each, one after the other, stores to its own rows and columns.

Transposed convolutions, resizing and averages at an image's edge are of this kind. The pieces meet in DRAM only: a STORE
writes rows and columns that lie apart.
"""

import dataclasses
from collections.abc import Callable

from weft.isa import Config
from weft.runtime.layout import activation_shape

from ..expr import as_expr
from ..graph import Graph, Node
from ..passes.rewrite import map_accesses
from ..stmt import Buffer, LoopProgram, Seq, Stmt

Build = Callable[[Node, Graph, Config, int], LoopProgram]
ROW = -4  # of an activation's axes [..., H, W, batch, block]


def piece_node(node: Node, index: int) -> Node:
    """The node that makes one piece, were it alone; its output is called `piece`."""
    piece = node.attrs["pieces"][index]
    inputs = [node.inputs[0], *(node.inputs[1 + i] for i in piece["inputs"])]
    return Node(f"{node.name}.{index}", node.attrs["op"], inputs, ["piece"], piece["attrs"], node.where)


def build(build_one: Build, node: Node, graph: Graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a pieces node: x int8 [N, C, H, W] and the pieces' parameters -> int8 [N, O, OH, OW]."""
    target = graph.tensors[node.outputs[0]]
    whole = Buffer(node.outputs[0], activation_shape(target.shape, config), "int8")
    arguments: dict[str, Buffer] = {}
    bodies: list[Stmt] = []
    for index, piece in enumerate(node.attrs["pieces"]):
        shape = (*target.shape[:2], piece["rows"][2], piece["columns"][2])
        types = {**graph.tensors, "piece": dataclasses.replace(target, shape=shape)}
        program = build_one(piece_node(node, index), Graph(graph.name, tensors=types, constants=graph.constants), config,
                            virtual_threads)
        part = program.arguments.pop("piece")
        shared = {buffer: arguments.setdefault(name, buffer) for name, buffer in program.arguments.items()}
        whole = dataclasses.replace(whole, shape=(*part.shape[:ROW], *whole.shape[ROW:])) if index == 0 else whole
        bodies.append(_moved(program.body, part, whole, piece, shared))
    return LoopProgram(node.name, {node.inputs[0]: arguments.pop(node.inputs[0]), **arguments, node.outputs[0]: whole},
                       Seq(bodies))


def _moved(body: Stmt, part: Buffer, whole: Buffer, piece: dict, shared: dict[Buffer, Buffer]) -> Stmt:
    """The piece's program with its output in its place of the whole, and with the tensors that it shares with other
    pieces."""
    (first_row, row_step, _), (first_column, column_step, _) = piece["rows"], piece["columns"]

    def change(buffer: Buffer, indices):
        if buffer is not part:
            return shared.get(buffer, buffer), indices
        *outside, row, column, batch, block = map(as_expr, indices)
        return whole, (*outside, row * row_step + first_row, column * column_step + first_column, batch, block)

    return map_accesses(body, change)
