"""`chain`: operators of real numbers that follow one another point by point, in one pass over the output."""

from ...graph import Graph, Node
from .. import pointwise
from .real import DEFINITIONS, is_float32, value
from .registry import operator


def supports(node: Node, graph: Graph) -> str:
    unknown = [step["op"] for step in node.attrs["steps"] if step["op"] not in DEFINITIONS]
    return is_float32(node, graph) or (f"the CPU has no kernel for {unknown[0]}" if unknown else "")


@operator("chain", supports=supports)
def build(node, graph, views, form):
    """Nothing is stored between the steps."""
    def define(*inputs):
        values = list(inputs)
        for step in node.attrs["steps"]:
            values.append(value(step["op"], step["attrs"], *(values[i] for i in step["inputs"])))
        return values[-1]

    return pointwise.build(node, graph, views, node.inputs, define)
