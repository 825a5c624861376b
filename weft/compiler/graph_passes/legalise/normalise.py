"""Softmax: shares of the exponentials, on the host, from stored values to stored values."""

from weft.runtime.kernels.normalise import exponentials

from ...graph import Graph, Node
from ...reference import quantisation_attrs
from .common import Form, NotInteger, emit


def _softmax(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if "minimum" in node.attrs or "maximum" in node.attrs:
        raise NotInteger("a clamp follows it")
    table = graph.add_constant(f"{node.name}.exponentials", exponentials(source.scale))
    attrs = {"axis": node.attrs.get("axis", -1)} | quantisation_attrs(target, graph.rounding)
    emit(graph, node, "softmax", [node.inputs[0], table], attrs)
    graph.nodes[-1].reason = "divides by a sum of exponentials"


FORMS: dict[str, Form] = {"Softmax": _softmax}
