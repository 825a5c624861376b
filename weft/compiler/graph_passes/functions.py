"""Several operators that make one function of one quantised value become its table.

    quantize(f(dequantize(x))) -> lut(x, table), where f is any graph of operators on single values and of single numbers

Networks write GELU, SiLU and the like as products, sums and a Tanh or Erf. Computed apart, each would round; a table rounds
once.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.isa.config import LUT_BYTES

from ..graph import Graph, Node
from ..reference import evaluate
from .tables import BINARY, UNARY

BY_VALUE = (*UNARY, *BINARY, "Clip", "Relu", "Identity", "Pow", "Sqrt", "Log")


@dataclass(frozen=True)
class Functions:
    name: ClassVar[str] = "functions"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op == "quantize" and "axis" not in node.attrs and node.attrs["dtype"] == "int8":
                _as_table(graph, node)


def _as_table(graph: Graph, node: Node) -> None:
    region = _region(graph, node)
    if region is None:
        return
    source, nodes = region
    values = np.arange(LUT_BYTES).astype(np.uint8).view(np.int8)
    table = _computed(graph, source, values, [*nodes, node])
    if table is not None:
        node.op, node.attrs = "lut", {}
        node.inputs = [source, graph.add_constant(f"{node.name}.table", table)]


def _region(graph: Graph, node: Node) -> tuple[str, list[Node]] | None:
    """(the stored tensor, the nodes between it and `node` in order), where they are several and compute on single values."""
    makers, found, sources = graph.producers(), {}, set()
    waiting = [node.inputs[0]]
    while waiting:
        name = waiting.pop()
        maker = makers.get(name)
        if name in graph.constants and graph.constants[name].size == 1 or name in found:
            continue
        if maker is None or len(maker.outputs) != 1 or graph.tensors[name].shape != graph.tensors[node.outputs[0]].shape:
            return None
        found[name] = maker
        if maker.op == "dequantize":
            sources.add(maker.inputs[0])
        elif maker.op in BY_VALUE:
            waiting += filter(None, maker.inputs)
        else:
            return None
    ordered = [n for n in graph.nodes if any(n is m for m in found.values())]
    if len(sources) != 1 or sum(n.op in BY_VALUE for n in ordered) < 2:
        return None
    (source,) = sources
    type_ = graph.tensors[source]
    return (source, ordered) if type_.dtype == "int8" and type_.quantised and type_.axis is None else None


def _computed(graph: Graph, source: str, values: np.ndarray, nodes: list[Node]) -> np.ndarray | None:
    """What the nodes make of these values of `source`; None where that is not a number."""
    arrays = {source: values}
    with np.errstate(all="ignore"):
        for node in nodes:
            operands = [arrays[n] if n in arrays else graph.constants[n].reshape(()) if n else None for n in node.inputs]
            arrays[node.outputs[0]] = evaluate(graph, node, operands)[0]
            if np.isnan(arrays[node.outputs[0]]).any():
                return None
    return arrays[nodes[-1].outputs[0]]
