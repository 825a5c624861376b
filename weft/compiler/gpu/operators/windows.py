"""Depthwise convolutions and pools: a thread makes a few neighbouring channels of one pixel."""

import numpy as np

from ... import te
from ...cpu import lanes
from ...cpu.kernel import Kernel
from ...cpu.pointwise import lift, stored
from ...expr import binary
from ...lower import lower
from ...schedule import Schedule
from ..ending import Ending
from ..products import padded
from .registry import operator

CHANNELS = 4  # of a thread: a word of bytes
ACROSS, THREADS = 32, 128  # threads of a block along the channels at most, and in all
WRITTEN_OUT = 9  # taps that are written out and not looped over


def constant(position: int):
    """Whether the inputs from a position on are constant, and lanes there can be compiled."""
    def supports(node, graph) -> str:
        if any(name and name not in graph.constants for name in node.inputs[position:]):
            return "its parameters are not constant"
        return lanes.why_not(graph, node.inputs[position])
    return supports


class Window:
    """What the window of an output (p, c) sees of a node's first input."""

    def __init__(self, node, graph, views, kernel):
        self.node, self.kernel = node, kernel
        self.source, self.target = views[node.inputs[0]], views[node.outputs[0]]
        self.x = self.source.placeholder("image")
        n, _, self.oh, self.ow = self.target.shape
        self.rows, self.columns = n * self.oh * self.ow, self.target.shape[1] + self.target.around[1][1]
        self.lifted = lift(graph, node.inputs[0], self.source)
        groups = -(-self.columns // CHANNELS)
        self.across = next(n for n in range(min(ACROSS, groups), 0, -1) if groups % n == 0)
        self.pixels = THREADS // self.across
        self.whole = {"p": padded(self.rows, self.pixels), "c": padded(self.columns, CHANNELS)}

    def split(self, p):
        """The image, row and column of an output; of one that fills up the last block, the last one's."""
        p = binary("min", p, self.rows - 1)
        return p // (self.oh * self.ow), p // self.ow % self.oh, p % self.ow

    def at(self, p, c):
        image, row, column = self.split(p)
        return image, c, row, column

    def tap(self, p, c, kh, kw):
        image, row, column = self.split(p)
        (sh, sw), (top, left, *_), (dh, dw) = (self.node.attrs["strides"], self.node.attrs["pads"],
                                               self.node.attrs.get("dilations", (1, 1)))
        return self.x[image, c, row * sh + kh * dh - top, column * sw + kw * dw - left]

    def kernel_of(self, combine, finish, ending: Ending | None = None, weights=None) -> Kernel:
        """combine: (value, tap's weight or None, the reduction axes) to the reduction; finish: (that, p, c) to the result."""
        kh, kw = (te.reduce_axis(f"k{i}", n) for i, n in enumerate(self.kernel))
        seen = te.compute("seen", {**self.whole, "kh": kh.extent, "kw": kw.extent}, self.tap, 0)
        total = te.compute("total", self.whole, lambda p, c: combine(
            seen[p, c, kh, kw], weights and weights[kh, kw, c], [kh, kw]), 0)
        y = te.compute("y", self.whole, lambda p, c: finish(total[p, c], p, c), 0, kept=(self.rows, self.columns),
                       into=self.target.placeholder("y"), at=self.at)
        s = Schedule(y)
        copies = [seen] + ([s.cache_read(weights, "reg", [total])] if weights else [])
        thread = self._threads(s[y])
        s[total].set_scope("reg")
        s[total].compute_at(s[y], thread)
        p, c, kh, kw = s[total].leaves
        s[total].reorder(p, kh, kw, c)
        for axis in (kh, kw) if kh.extent * kw.extent <= WRITTEN_OUT else ():
            s[total].unroll(axis)
        for copy in copies:
            s[copy].set_scope("reg")
            s[copy].compute_at(s[total], kw)
            s[copy].vectorise(s[copy].leaves[1] if copy is seen else s[copy].leaves[2])
        arguments = {self.node.inputs[0]: self.x, **(ending.tensors if ending else {}), self.node.outputs[0]: y}
        blocks = self.whole["p"] // self.pixels * self.whole["c"] // (CHANNELS * self.across)
        return Kernel(self.node.name, lower(s, self.node.name, arguments), blocks, ending.constants if ending else {})

    def _threads(self, y):
        p, c = y.leaves
        block_p, pixel = y.split(p, self.pixels)
        c, channel = y.split(c, CHANNELS)
        block_c, across = y.split(c, self.across)
        y.reorder(block_p, block_c, pixel, across, channel)
        for axis, thread in ((block_p, "blockIdx.x"), (block_c, "blockIdx.y"), (pixel, "threadIdx.y"),
                             (across, "threadIdx.x")):
            y.bind(axis, thread)
        y.vectorise(channel)
        return across


@operator("depthwise_conv2d", supports=constant(2))
def depthwise(node, graph, views):
    w = graph.constants[node.inputs[1]]
    if node.attrs.get("parts", 1) != 1:
        w = w.reshape(len(w), 1, node.attrs["parts"], -1, w.shape[3]).sum(2, dtype=np.int32)
    window = Window(node, graph, views, w.shape[2:])
    ending = Ending(node, graph, views, window.whole["c"])
    packed = np.zeros((*w.shape[2:], window.whole["c"]), w.dtype)
    packed[:, :, :len(w)] = w[:, 0].transpose(1, 2, 0)
    weights = ending.constant("weights", packed)
    flat = w.reshape(len(w), -1).astype(np.int64)
    most = float(np.abs(flat).sum(1).max()) * (255 if window.lifted else 128)
    return window.kernel_of(
        lambda x, w, axes: te.sum(x.astype("int32") * w.astype("int32"), axes),
        lambda total, p, c: ending.finished(total, c, window.at(p, c), -window.lifted * flat.sum(1), most), ending, weights)


@operator("avg_pool", supports=constant(1))
def avg_pool(node, graph, views):
    window = Window(node, graph, views, node.attrs["kernel"])
    ending, taps = Ending(node, graph, views, window.whole["c"]), int(np.prod(node.attrs["kernel"]))
    return window.kernel_of(
        lambda x, w, axes: te.sum(x.astype("int32"), axes),
        lambda total, p, c: ending.finished(total, c, window.at(p, c), -window.lifted * taps, 255.0 * taps, 1), ending)


@operator("max_pool")
def max_pool(node, graph, views):
    window = Window(node, graph, views, node.attrs["kernel"])
    up, out = lift(graph, node.outputs[0], window.target), window.target.dtype
    low, high = node.attrs.get("minimum", -128), node.attrs.get("maximum", 127)

    def finish(total, p, c):
        return (np.minimum(np.maximum(stored(total, window.lifted), low), high) + up).astype(out)

    return window.kernel_of(lambda x, w, axes: te.max(x.astype("int32"), axes, window.lifted - 128), finish)
