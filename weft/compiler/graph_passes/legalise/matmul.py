"""The product of two computed matrices: one of them becomes the weights of a dense, packed between two launches.

    MatMul(x [M, K], y [K, N]) -> dense(x, transpose(y), lanes)

The lanes make up for the zero point of x, by the sums of y's columns; where that is not 0, the host adds those up as well.
"""

from ...graph import Graph, Node, TensorType
from ..lanes import scale_lanes
from .common import Form, NotInteger, emit


def _matmul(graph: Graph, node: Node) -> None:
    a, b = (graph.tensors[name] for name in node.inputs)
    target = graph.tensors[node.outputs[0]]
    if any(len(t.shape) != 2 for t in (a, b)) or any(name in graph.constants for name in node.inputs):
        raise NotInteger("it is no product of two computed matrices")
    if b.zero_point != 0:
        raise NotInteger(f"the zero point of its second operand is {b.zero_point}, which weights do not have")
    rows, columns = b.shape
    weights = graph.add_tensor(f"{node.name}.weights", TensorType((columns, rows), "int8", b.scale, 0))
    emit(graph, node, "transpose", [node.inputs[1]], {"perm": (1, 0)}, weights)
    lanes = scale_lanes(columns, a.scale * b.scale / target.scale, 0, target, node.attrs, graph.rounding)
    qnt = graph.add_constant(f"{node.name}.qnt", lanes)
    if a.zero_point:
        made = graph.add_tensor(f"{node.name}.lanes", TensorType((columns,), "qnt"))
        emit(graph, node, "product_bias", [weights, qnt], {"zero_point": a.zero_point}, made)
        graph.nodes[-1].reason = "adds up what a product needs of its second operand"
        qnt = made
    emit(graph, node, "dense", [node.inputs[0], weights, qnt])


FORMS: dict[str, Form] = {"MatMul": _matmul}
"""MatMul of two matrices; the pass `two-axes` makes such ones of others."""
