"""Functions of one int8 value become tables, and tables behind an operator become part of it.

    Sigmoid(x), Mul(x, constant), ...    -> lut(x, table), the 256 values that the function has (in legalisation)
    lut(conv2d(x, w, qnt), table)        -> conv2d(x, w, qnt, table)
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.isa.config import LUT_BYTES

from ..graph import Graph, Node
from ..reference import evaluate
from .rewrite import only_reader, rename_output

UNARY = ("Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Erf", "Exp", "Abs", "Neg", "Elu", "Celu", "Selu",
         "Gelu", "ThresholdedRelu", "Softplus", "Softsign", "Mish", "Sqrt", "Log", "Floor", "Ceil", "Round", "Sin", "Cos",
         "Reciprocal")
BINARY = ("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "PRelu")  # with one number
BEHIND = {"conv2d": 3, "depthwise_conv2d": 3, "dense": 3, "add": 3, "mul": 3, "requantise": 2}  # inputs without a table


def is_function_of_one(graph: Graph, node: Node) -> bool:
    """Whether each value of the output depends on the same value of input 0 alone."""
    if graph.tensors[node.inputs[0]].shape != graph.tensors[node.outputs[0]].shape:
        return False
    if node.op in UNARY:
        return True
    if node.op not in BINARY or len(node.inputs) != 2 or node.inputs[1] not in graph.constants:
        return False
    return graph.constants[node.inputs[1]].size == 1 and graph.tensors[node.inputs[1]].axis is None


def table_of(graph: Graph, node: Node) -> np.ndarray | None:
    """The int8 results for x & 255 = 0, 1, ... 255; None where one is not a number."""
    values = np.arange(LUT_BYTES).astype(np.uint8).view(np.int8)
    with np.errstate(all="ignore"):
        operands = [values, *(graph.constants[name].reshape(()) for name in node.inputs[1:])]
        real = dataclasses.replace(graph.tensors[node.outputs[0]], dtype="float32", scale=None, zero_point=None)
        wide = Graph(graph.name, tensors={**graph.tensors, node.outputs[0]: real})
        if np.isnan(evaluate(wide, node, operands)[0]).any():
            return None
        return evaluate(graph, node, operands)[0]


@dataclass(frozen=True)
class FuseTables:
    name: ClassVar[str] = "fuse-tables"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            maker = graph.producers().get(node.inputs[0]) if node.op == "lut" else None
            if maker is None or only_reader(graph, node.inputs[0]) is not node or len(maker.inputs) != BEHIND.get(maker.op):
                continue
            maker.inputs = [*maker.inputs, node.inputs[1]]
            type_ = graph.tensors[node.outputs[0]]
            graph.nodes.remove(node)
            rename_output(graph, maker, node.inputs[0], node.outputs[0])
            graph.tensors[node.outputs[0]] = type_
