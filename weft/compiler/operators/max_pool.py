"""The largest of each window; padding never wins."""

from weft.isa import Config

from .. import te
from ..expr import binary
from ..stmt import LoopProgram
from . import pool
from .common import pad

LOWEST, HIGHEST = -128, 127  # of int8


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a max_pool node: x int8 -> int8, clamped to the attributes minimum and maximum, if any."""
    s = pool.shape_of(node, graph, config)
    x = te.placeholder("x", pool.input_axes(s, config), "int8")
    padded = pad(x, s.window, s.oh, s.ow, LOWEST, "int32")
    kh, kw = te.reduce_axis("kh", s.window.kh), te.reduce_axis("kw", s.window.kw)
    out = pool.output_axes(s, config)
    pooled = te.compute("largest", out, lambda *i: te.max(pool.place(padded, s.window, i, kh, kw), [kh, kw], LOWEST))
    last, minimum, maximum = pooled, node.attrs.get("minimum", LOWEST), node.attrs.get("maximum", HIGHEST)
    if minimum > LOWEST:
        last = te.compute("above", out, lambda *i, v=last: binary("max", v[i], int(minimum)))
    if maximum < HIGHEST:
        last = te.compute("below", out, lambda *i, v=last: binary("min", v[i], int(maximum)))
    y = te.compute("y", out, lambda *i: last[i].astype("int8"))
    return pool.program(node, graph, config, virtual_threads, s, x, padded, pooled, y)
