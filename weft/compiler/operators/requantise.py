"""The same values at another scale, zero point or clamp."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a requantise node: x int8, qnt [C] -> int8."""
    axes = axes_of(node.outputs[0], graph, config)
    x = te.placeholder("x", axes, "int8")
    qnt = te.placeholder("qnt", {"c": axes["c"], "cb": axes["cb"]}, "qnt", element_rank=1)
    y = te.compute("y", axes, lambda n, c, p, nb, cb:
                   qnt[c, cb].requantise(x[n, c, p, nb, cb].astype("int32")).astype("int8"))
    return elementwise.program(node, graph, config, virtual_threads, {node.inputs[0]: x}, qnt, y, [(x, y)])
