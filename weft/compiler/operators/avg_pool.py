"""The requantised sum of each window; the divisor is in the parameters."""

from weft.isa import Config

from .. import te
from ..stmt import LoopProgram
from . import pool
from .common import pad


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of an avg_pool node: x int8, qnt [C] -> int8; padding counts as the attribute pad_value."""
    s = pool.shape_of(node, graph, config)
    x = te.placeholder("x", pool.input_axes(s, config), "int8")
    padded = pad(x, s.window, s.oh, s.ow, node.attrs.get("pad_value", 0), "int32")
    qnt = te.placeholder("qnt", {"c": s.c, "cb": config.block_out}, "qnt", element_rank=1)
    kh, kw = te.reduce_axis("kh", s.window.kh), te.reduce_axis("kw", s.window.kw)
    out = pool.output_axes(s, config)
    pooled = te.compute("sums", out, lambda *i: te.sum(pool.place(padded, s.window, i, kh, kw), [kh, kw]))
    y = te.compute("y", out, lambda n, c, oh, ow, nb, cb:
                   qnt[c, cb].requantise(pooled[n, c, oh, ow, nb, cb]).astype("int8"))
    return pool.program(node, graph, config, virtual_threads, s, x, padded, pooled, y, qnt)
