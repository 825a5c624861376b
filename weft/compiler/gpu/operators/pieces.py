"""An output of interleaved rectangles: the GPU's kernels for each of them, which write to rows and columns that lie apart."""

from ...cpu.operators import pieces
from .registry import OPERATORS, operator


@operator("pieces", supports=lambda node, graph: pieces.supports(node, graph, OPERATORS, "GPU"))
def build(node, graph, views):
    return pieces.joined(node, graph, views, lambda one, known, views_: OPERATORS[one.op].build(one, known, views_))
