"""A matrix product with requantisation: a convolution of one pixel, whose outputs and reduction are tiled alike."""

from weft.isa import Config

from ..stmt import LoopProgram
from . import conv2d


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a dense node: x [N, C], w [O, C], qnt [O] -> [N, O]."""
    return conv2d.build(node, graph, config, virtual_threads)
