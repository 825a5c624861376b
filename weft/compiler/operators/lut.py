"""Any function of one int8, by a table: sigmoid, tanh, hard swish and their like."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .common import looked_up
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a lut node: x int8, table [256] -> int8."""
    x = te.placeholder("x", axes_of(node.outputs[0], graph, config), "int8")
    return elementwise.program(node, graph, config, virtual_threads, {node.inputs[0]: x}, looked_up(x), [(x, None)])
