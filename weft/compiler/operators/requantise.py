"""The same values at another scale, zero point or clamp."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .common import requantised
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a requantise node: x int8, qnt [C], optional table -> int8."""
    axes = axes_of(node.outputs[0], graph, config)
    x = te.placeholder("x", axes, "int8")
    end = requantised(x, ("c", "cb"), len(node.inputs) > 2)
    return elementwise.program(node, graph, config, virtual_threads, {node.inputs[0]: x}, end, [(x, None)])
