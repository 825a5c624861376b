"""The product of two tensors: requant((a - za) * (b - zb)); either may be one value a channel."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .common import requantised
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a mul node: a, b int8 [N, C, H, W] or [N, C, 1, 1], qnt [C], optional table -> int8 [N, C, H, W];
    attribute zero_points (za, zb)."""
    axes = axes_of(node.outputs[0], graph, config)
    names = node.inputs[:2]
    inputs = {name: te.placeholder(letter, {**axes, "p": axes_of(name, graph, config)["p"]}, "int8")
              for letter, name in zip("ab", names)}
    factors, reads = [], []
    for letter, name, zero in zip("ab", names, node.attrs["zero_points"]):
        x = inputs[name]
        real = x
        if zero or len(inputs) == 1:  # a square reads its input twice, once for each factor
            real = te.compute(f"{letter}_real", {axis.name: axis.extent for axis in x.axes},
                              lambda *i, x=x, zero=zero: x[i].astype("int32") + -int(zero))
        factors.append(real)
        reads.append((x, real))

    def factor(k: int, n, c, p, nb, cb):
        each = factors[k].shape[2] == axes["p"]
        return factors[k][n, c, p if each else 0, nb, cb].astype("int32")

    total = te.compute("total", axes, lambda *i: factor(0, *i) * factor(1, *i))
    end = requantised(total, ("c", "cb"), len(node.inputs) > 3)
    reads = [(x, total if real is x else real) for x, real in reads]
    return elementwise.program(node, graph, config, virtual_threads, inputs, end, reads)
