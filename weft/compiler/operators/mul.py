"""The product of two tensors: requant((a - za) * (b - zb)); b may be one value a channel."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import elementwise
from .common import requantised
from .elementwise import axes_of


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a mul node: a [N, C, H, W] int8, b int8 of that shape or [N, C, 1, 1], qnt [C], optional table -> int8;
    attribute zero_points (za, zb)."""
    axes = axes_of(node.outputs[0], graph, config)
    first, second = node.inputs[:2]
    pixels = {name: axes_of(name, graph, config)["p"] for name in (first, second)}
    a = te.placeholder("a", axes, "int8")
    b = a if first == second else te.placeholder("b", {**axes, "p": pixels[second]}, "int8")
    real = [te.compute(f"{name}_real", {axis.name: axis.extent for axis in x.axes}, lambda *i, x=x, z=z:
                       x[i].astype("int32") + -int(z))
            if z or a is b else x for name, x, z in zip("ab", (a, b), node.attrs["zero_points"])]
    each = pixels[second] == axes["p"]
    total = te.compute("total", axes, lambda n, c, p, nb, cb: real[0][n, c, p, nb, cb].astype("int32")
                       * real[1][n, c, p if each else 0, nb, cb].astype("int32"))
    end = requantised(total, ("c", "cb"), len(node.inputs) > 3)
    reads = [(x, total if term is x else term) for x, term in zip((a, b), real)]
    return elementwise.program(node, graph, config, virtual_threads, {first: a, second: b}, end, reads)
