"""Depthwise convolutions, each channel with a kernel of its own: `depthwise_conv2d` of int8, exact, and float32 for `Conv`.

Channels are lanes. A tile is some neighbouring outputs of a row, so that what two windows share is read once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weft.llvm.machine import Form
from weft.runtime.kernels.windows import whole_weights

from ... import te
from ...graph import Graph, Node
from ...lower import lower
from ...schedule import Schedule
from ...stmt import LoopProgram
from ...te import Tensor
from .. import ending
from ..contraction import Ending, room
from ..kernel import LANES, Kernel, View
from ..layout import BIAS
from ..tile import registers
from .registry import operator

UNROLLED = 25  # taps that are written out
TILES = (8, 7, 6, 5, 4, 3, 2, 1)
ROWS = 16  # from so many on, rows are what threads share


@dataclass(frozen=True)
class Depthwise:
    """x, y: views of images of as many channels. The weights are the sum of `parts`."""

    x: View
    y: View
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int]
    dilations: tuple[int, int] = (1, 1)
    parts: int = 1

    def packed(self, w: np.ndarray) -> np.ndarray:
        """w [c, 1, parts * rows, columns] as [part, row, column, c], c up to whole vectors."""
        full = np.zeros((self.parts, *self.kernel, -(-len(w) // LANES) * LANES), w.dtype)
        full[..., :len(w)] = w.reshape(len(w), self.parts, *self.kernel).transpose(1, 2, 3, 0)
        return full


def supports(node: Node, graph: Graph) -> str:
    return ending.why_not(graph, node.inputs[1:])


@operator("depthwise_conv2d", supports=supports)
def build(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> Kernel:
    """uint8 images, as layout.py lays them."""
    w, parts = graph.constants[node.inputs[1]], node.attrs.get("parts", 1)
    d = Depthwise(views[node.inputs[0]], views[node.outputs[0]], (w.shape[2] // parts, w.shape[3]),
                  tuple(node.attrs["strides"]), tuple(node.attrs["pads"][:2]), (1, 1), parts)
    whole = whole_weights({"parts": parts}, w).reshape(len(w), -1).astype(np.int64)
    after = ending.ending(node, graph, views, form, BIAS * whole.sum(1), BIAS * np.abs(whole).sum(1))
    others = dict(after.tensors)
    program, turns = lowered(d, form, node, others.pop("$bias"), others, after.apply)
    return Kernel(node.name, program, turns, {"$weights": d.packed(w), **after.constants})


def lowered(d: Depthwise, form: Form, node: Node, bias: Tensor, others: Mapping[str, Tensor],
            apply: Ending) -> tuple[LoopProgram, int]:
    """The loop program and its turns."""
    x, w, sums, y = define(d, bias, apply)
    s, turns = schedule(d, form, sums, y)
    return lower(s, node.name, {node.inputs[0]: x, "$weights": w, "$bias": bias, **others, node.outputs[0]: y}), turns


def define(d: Depthwise, bias: Tensor, apply: Ending) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, weights, sums and y."""
    n, _, oh, ow = d.y.shape
    of_bytes = d.x.dtype == "uint8"
    channels = -(-d.y.shape[1] // LANES) * LANES
    x = d.x.placeholder("x")
    axes = {"part": d.parts, "kh": d.kernel[0], "kw": d.kernel[1], "c": channels}
    w = te.placeholder("w", axes, "int8" if of_bytes else "float32", 0)
    part, kh, kw = te.reduce_axis("part", d.parts), te.reduce_axis("kh", d.kernel[0]), te.reduce_axis("kw", d.kernel[1])
    dtype = "int32" if of_bytes else "float32"

    def product(n, c, h, v):
        row = h * d.strides[0] + kh * d.dilations[0] - d.pads[0]
        seen = x[n, c, row, v * d.strides[1] + kw * d.dilations[1] - d.pads[1]]
        return te.sum(seen.astype(dtype) * w[part, kh, kw, c].astype(dtype), [part, kh, kw], bias[c])

    out = {"n": n, "c": room(d.y), "h": oh, "w": ow}
    sums = te.compute("sums", out, product, 0)
    y = te.compute("y", out, lambda *i: apply(sums[i], i).astype(d.y.dtype), 0, d.y.strides,
                   tuple(low for low, _ in d.y.around))
    return x, w, sums, y


def schedule(d: Depthwise, form: Form, sums: Tensor, y: Tensor) -> tuple[Schedule, int]:
    """Tiles of sums in registers; returns the turns of the parallel loop as well."""
    s = Schedule(y)
    s[sums].set_scope("reg")
    n, c, h, v = s[y].leaves
    most = form.vectors // 2 // registers(form)
    size = min((t for t in TILES if t <= max(1, most)), key=lambda t: (-(-v.extent // t) * t, -t))
    outer, inner = s[y].split(v, size)
    vectors, lanes = s[y].split(c, LANES)
    order = [h, n, vectors, outer] if h.extent >= ROWS else [vectors, n, h, outer]
    s[y].reorder(*order, inner, lanes)
    s[y].unroll(inner)
    s[y].vectorise(lanes)
    s[y].parallel(order[0])
    s[sums].compute_at(s[y], outer)
    n, c, h, v, part, kh, kw = s[sums].leaves
    s[sums].reorder(n, h, part, kh, kw, v, c)
    unrolled = [kw, v] if d.kernel[0] * d.kernel[1] > UNROLLED else [part, kh, kw, v]
    for axis in unrolled:
        s[sums].unroll(axis)
    s[sums].vectorise(c)
    return s, order[0].extent
