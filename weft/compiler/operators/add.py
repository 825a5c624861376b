"""The sum of two tensors of different scales: requant(a * ma + b * mb); either may be one value a channel."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .common import requantised
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of an add node: a, b int8 [N, C, H, W], either also [N, C, 1, 1], qnt [C], optional table -> int8;
    attribute multipliers (ma, mb)."""
    axes = axes_of(node.outputs[0], graph, config)
    first, second = node.inputs[:2]
    a = te.placeholder("a", {**axes, "p": axes_of(first, graph, config)["p"]}, "int8")
    b = a if first == second else te.placeholder("b", {**axes, "p": axes_of(second, graph, config)["p"]}, "int8")
    factors = node.attrs["multipliers"]
    terms = [x if m == 1 and a is not b else
             te.compute(f"{name}_scaled", {axis.name: axis.extent for axis in x.axes},
                        lambda *i, x=x, m=m: x[i].astype("int32") * int(m))
             for name, x, m in zip("ab", (a, b), factors)]

    def term(k: int, n, c, p, nb, cb):
        return terms[k][n, c, p if terms[k].shape[2] == axes["p"] else 0, nb, cb].astype("int32")

    total = te.compute("total", axes, lambda *i: term(0, *i) + term(1, *i))
    end = requantised(total, ("c", "cb"), len(node.inputs) > 3)
    reads = [(x, total if scaled is x else scaled) for x, scaled in zip((a, b), terms)]
    return elementwise.program(node, graph, config, virtual_threads, {first: a, second: b}, end, reads)
