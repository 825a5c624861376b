"""The larger, or the smaller, of the values of two tensors of one scale."""

from weft.isa import Config

from .. import te
from ..expr import binary
from ..stmt import LoopProgram
from . import elementwise
from .common import Ending
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a max or min node: a, b int8 [N, C, H, W] or [N, C] -> int8."""
    axes = axes_of(node.outputs[0], graph, config)
    first, second = node.inputs
    a, b = (te.placeholder(letter, axes, "int8") for letter in "ab")
    chosen = te.compute("chosen", axes, lambda *i: binary(node.op, a[i].astype("int32"), b[i].astype("int32")))
    y = te.compute("y", axes, lambda *i: chosen[i].astype("int8"))
    return elementwise.program(node, graph, config, virtual_threads, {first: a, second: b}, Ending(None, None, y, None),
                               [(a, chosen), (b, chosen)])
