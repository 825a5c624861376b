"""`product`: two computed int8 matrices multiplied, row by row, exact as weft.runtime.kernels defines it."""

from ... import te
from ...graph import Graph, Node
from ...lower import lower
from ...schedule import Schedule
from .. import lanes, points
from ..kernel import LANES, Kernel
from ..pointwise import lift
from .registry import operator


def supports(node: Node, graph: Graph) -> str:
    if any(len(graph.tensors[name].shape) != 2 for name in node.inputs[:2]):
        return "its factors are no matrices"
    return lanes.why_not(graph, node.inputs[2]) or \
        ("" if all(name in graph.constants for name in node.inputs[3:]) else "its parameters are not constant")


@operator("product", supports=supports)
def build(node, graph, views, form):
    """Rows of x along rows of w, whole vectors and then what is left of them; LANES results are requantised together."""
    (x, w), out = node.inputs[:2], node.outputs[0]
    (n, depth), o = graph.tensors[x].shape, graph.tensors[w].shape[0]
    ending = lanes.lanes(graph, node.inputs[2], 2)
    lifted = lift(graph, out, views[out])
    table = lanes.table(graph, node, 3, lifted)
    operands = [points.whole(x, views[x]), points.whole(w, views[w])]
    tensors = {operand.name: operand.placeholder(f"x{k}") for k, operand in enumerate(operands)}
    zeros = [lift(graph, x, views[x]) + int(node.attrs["zero_point"]), lift(graph, w, views[w])]
    parameters = [points.given(f"${k}", values, (n, o)) for k, values in enumerate(ending.arrays)]
    constants = {p.name: p for p in [*parameters, *[table] * (table is not None)] if not isinstance(p, te.Expr)}
    tensors |= {name: p.placeholder(f"c{k}") for k, (name, p) in enumerate(constants.items())}

    def term(i, j, k):
        values = [tensors[operand.name][operand.place(operand.strides, (row, k))].astype("int32") - zero
                  for operand, row, zero in zip(operands, (i, j), zeros)]
        return values[0] * values[1]

    blocks, rest = divmod(depth, LANES)
    axes = {"n": n, "o": o}
    if rest:
        k = te.reduce_axis("k", rest)
        tail = te.compute("tail", axes, lambda i, j: te.sum(term(i, j, k + blocks * LANES), [k]), 0)
    if blocks:
        k, lane = te.reduce_axis("k", blocks), te.reduce_axis("l", LANES)
        parts = te.compute("parts", axes | {"l": LANES}, lambda i, j, l_: te.sum(term(i, j, k * LANES + l_), [k]), 0)
        total = te.compute("total", axes, lambda i, j: te.sum(parts[i, j, lane], [lane], tail[i, j] if rest else 0), 0)
    else:
        total = tail

    def define(i, j):
        values = [p if isinstance(p, te.Expr) else tensors[p.name][p.place(p.strides, (i, j))] for p in parameters]
        whole = ending.quantised(total[i, j], values)
        return lanes.finished(whole, tensors[table.name].__getitem__ if table else None, lifted).astype(views[out].dtype)

    y = te.compute("y", axes, define, 0, views[out].strides)
    s = Schedule(y)
    s[y].parallel(y.axes[0])
    outer, inner = s[y].split(y.axes[1], LANES)
    if views[out].strides[1] == 1:
        s[y].vectorise(inner)
    s[total].set_scope("local")
    s[total].compute_at(s[y], outer)
    if blocks:
        s[total].vectorise(s[total].reduce_axes[0])
        s[parts].set_scope("local")
        s[parts].reorder(s[parts].reduce_axes[0], parts.axes[-1])
        s[parts].vectorise(parts.axes[-1])
        s[parts].compute_at(s[total], total.axes[1])
        if rest:
            s[tail].set_scope("local")
            s[tail].compute_at(s[total], total.axes[1])
    program = lower(s, node.name, {**tensors, out: y})
    return Kernel(node.name, program, n, {name: p.values for name, p in constants.items()})
