"""The sum of two tensors of different scales: requant(a * ma + b * mb)."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .common import requantised
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of an add node: a, b int8, qnt [C], optional table -> int8; attribute multipliers (ma, mb)."""
    axes = axes_of(node.outputs[0], graph, config)
    first, second = node.inputs[:2]
    a = te.placeholder("a", axes, "int8")
    b = a if first == second else te.placeholder("b", axes, "int8")
    factors = node.attrs["multipliers"]
    terms = [x if m == 1 and a is not b else
             te.compute(f"{name}_scaled", axes, lambda *i, x=x, m=m: x[i].astype("int32") * int(m))
             for name, x, m in zip("ab", (a, b), factors)]
    total = te.compute("total", axes, lambda *i: terms[0][i].astype("int32") + terms[1][i].astype("int32"))
    end = requantised(total, ("c", "cb"), len(node.inputs) > 3)
    reads = [(x, total if term is x else term) for x, term in zip((a, b), terms)]
    return elementwise.program(node, graph, config, virtual_threads, {first: a, second: b}, end, reads)
