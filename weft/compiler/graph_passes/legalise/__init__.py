"""Operators on quantised tensors become integer operators; what has none runs on the host in real numbers.

    Conv -> conv2d, ConvTranspose -> pieces of conv2d, Gemm -> dense, Add and Sub -> add, Mul -> mul,
    Max and Min -> max and min, PRelu -> add of its sides,
    functions of one value -> lut, MaxPool -> max_pool,
    AveragePool and GlobalAveragePool -> avg_pool, Clip and Identity -> requantise,
    Resize, DepthToSpace -> pieces of convolutions, SpaceToDepth -> conv2d,
    Transpose, Reshape, Slice, Pad, Concat -> the same on stored values, Softmax -> softmax, MatMul -> dense
    anything else -> quantize(op(dequantize(x)))
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.isa import Config

from ...graph import Graph
from ..lanes import LanesError
from ..tables import is_function_of_one
from . import elementwise, matmul, moves, normalise, pools, products, resize, transposed
from .common import Form, NotInteger, check_activations, on_real_numbers

FORMS: dict[str, Form] = products.FORMS | matmul.FORMS | transposed.FORMS | resize.FORMS | elementwise.FORMS | pools.FORMS \
    | moves.FORMS | normalise.FORMS
EVERY_INPUT = ("Add", "Sub", "Mul", "Max", "Min", "Concat", "MatMul")  # operators all of whose inputs are activations


@dataclass(frozen=True)
class Legalise:
    name: ClassVar[str] = "legalise"

    def __call__(self, graph: Graph, config: Config) -> None:
        nodes, graph.nodes = graph.nodes, []
        for node in nodes:
            quantised = [graph.tensors[t].quantised for t in (*node.inputs, *node.outputs) if t]
            if not node.op[0].isupper() or not any(quantised):
                graph.nodes.append(node)
                continue
            mark = len(graph.nodes)
            try:
                form = elementwise.lut if is_function_of_one(graph, node) else FORMS.get(node.op)
                if form is None:
                    raise NotInteger(f"{node.op} has no integer form")
                several = form is FORMS.get(node.op) and node.op in EVERY_INPUT
                check_activations(graph, node, node.inputs if several else node.inputs[:1])
                form(graph, node)
            except (NotInteger, LanesError) as reason:
                del graph.nodes[mark:]
                on_real_numbers(graph, node, str(reason))
