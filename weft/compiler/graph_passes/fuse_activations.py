"""Clip(op(x)) -> op(x) with attributes minimum and maximum, where nobody else reads op(x).

It happens before quantisation is absorbed, on real numbers: there it changes no value.
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ..graph import Graph
from .rewrite import only_reader, rename_output

PRODUCERS = ("Conv", "ConvTranspose", "Gemm", "Add", "Sub", "Mul", "MaxPool", "AveragePool", "GlobalAveragePool", "Clip")


@dataclass(frozen=True)
class FuseActivations:
    name: ClassVar[str] = "fuse-activations"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            maker = graph.producers().get(node.inputs[0]) if node.op == "Clip" else None
            if maker is None or maker.op not in PRODUCERS or graph.tensors[node.inputs[0]].quantised \
                    or only_reader(graph, node.inputs[0]) is not node:
                continue
            maker.attrs |= combined(maker.attrs, node.attrs.get("min"), node.attrs.get("max"))
            graph.nodes.remove(node)
            rename_output(graph, maker, node.inputs[0], node.outputs[0])


def combined(attrs: dict, low: float | None, high: float | None) -> dict:
    """The attributes minimum and maximum of clamping to those of `attrs` first and then to (low, high)."""
    low, high = -float("inf") if low is None else low, float("inf") if high is None else high
    first_low, first_high = attrs.get("minimum", -float("inf")), attrs.get("maximum", float("inf"))
    limits = {"minimum": min(max(first_low, low), high), "maximum": max(min(first_high, high), low)}
    return {k: v for k, v in limits.items() if abs(v) != float("inf")}
