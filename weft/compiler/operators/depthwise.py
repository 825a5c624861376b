"""Depthwise convolution with requantisation: each channel with its own kernel, rows of it by DEPTHWISE."""

from dataclasses import dataclass

import numpy as np

from weft.isa import Config, WeftError
from weft.isa.table import MAX_TAPS

from .. import te
from ..lower import lower
from ..schedule import Schedule
from ..stmt import LoopProgram
from ..te import Tensor
from . import cost
from .common import Window, Windowed, image, pad, requantised, subject
from .tiling import cut, mark

ORDER = ("c", "n", "oh", "ow")


@dataclass(frozen=True, kw_only=True)
class Shape(Windowed):
    """A depthwise convolution: c counts blocks of channels. The kernel is the sum of `parts` kernels of int8, which lie one
    below the other."""

    c: int
    pad_value: int
    batch: int
    block: int
    table: bool = False
    parts: int = 1


@dataclass(frozen=True)
class Tile:
    """Sizes of a tile of output along each axis; threads divide the tiles along `thread_axis`."""

    c: int
    n: int
    oh: int
    ow: int
    threads: int = 1
    thread_axis: str = "oh"


def can_run(kernel: tuple[int, int], dilations: tuple[int, int], config: Config) -> bool:
    """Whether DEPTHWISE does rows of such a kernel, all of which fits the scratchpads."""
    fits = kernel[0] * kernel[1] <= config.inp_depth and kernel[0] <= config.wgt_depth
    return fits and kernel[1] <= min(config.block_in, MAX_TAPS) and dilations[1] == 1


def shape_of(node, graph, config: Config) -> Shape:
    """The convolution that a node is. WeftError for a padding or a kernel that the machine cannot do."""
    n, c, h, w = image(graph.tensors[node.inputs[0]].shape, config)
    oh, ow = image(graph.tensors[node.outputs[0]].shape, config)[2:]
    kh, kw = graph.tensors[node.inputs[1]].shape[2:]
    parts = node.attrs.get("parts", 1)
    window = Window(kh // parts, kw, tuple(node.attrs["strides"]), tuple(node.attrs["pads"]))
    if not can_run((kh, kw), window.dilations, config):
        raise WeftError(subject(node), f"a row of the kernel has at most {min(config.block_in, MAX_TAPS)} values", f"{kw}",
                        "conv2d with groups, its weights widened with zeros to whole blocks")
    return Shape(n=n, c=c, h=h, w=w, oh=oh, ow=ow, window=window, pad_value=node.attrs["pad_value"], batch=config.batch,
                 block=config.block_in, table=len(node.inputs) > 3, parts=parts)


@dataclass(frozen=True)
class Plan:
    """Needs and cycles of tiles c, n, oh, ow."""

    s: Shape
    config: Config
    axis: str
    threads: int

    def needs(self, t: cost.Sizes) -> dict[str, np.ndarray]:
        s, window = self.s, self.s.window
        copies = np.minimum(self.threads, cost.tiles(getattr(s, self.axis), t[self.axis]))
        held = np.where(self.axis == "c", copies, 1)
        rest = np.sort(np.stack(np.broadcast_arrays(t["c"], t["n"], t["oh"], s.parts, window.kh)), axis=0)
        return {"inp": t["n"] * t["c"] * window.rows(t["oh"]) * window.columns(t["ow"]) * copies,
                "wgt": t["c"] * s.parts * window.kh * held, "qnt": t["c"] * held, "lut": np.where(s.table, 1, 0),
                "acc": t["n"] * t["c"] * t["oh"] * t["ow"] * copies, "uop": rest[:-1].prod(axis=0)}

    def cycles(self, t: cost.Sizes) -> np.ndarray:
        s, config, window = self.s, self.config, self.s.window
        count = {axis: cost.tiles(getattr(s, axis), t[axis]) for axis in ORDER}
        turns = np.prod([count[axis] for axis in ORDER], axis=0)
        outputs, blocks = s.n * s.c * s.oh * s.ow, s.n * s.c
        rows, columns = window.rows(t["oh"]), window.columns(t["ow"])
        read = np.minimum(rows * count["oh"], s.h + (rows - window.strides[0]).clip(0) * (count["oh"] - 1))
        wide = np.minimum(columns * count["ow"], s.w + (columns - window.strides[1]).clip(0) * (count["ow"] - 1))
        load = cost.transfer(config, blocks * read * wide * config.inp_bytes, blocks * read * count["ow"],
                             blocks * count["oh"] * count["ow"])
        load = load + cost.transfer(config, s.c * s.parts * window.kh * config.wgt_bytes, 0, count["c"])
        compute = cost.steps(window_cycles(s, count["ow"]), turns)
        alu = (2 + s.table) * cost.steps(outputs, turns)
        alu = alu + cost.transfer(config, s.c * config.qnt_bytes, 0, count["c"])
        whole = t["ow"] == s.ow
        store = cost.transfer(config, outputs * config.out_bytes,
                              np.where(whole, blocks * count["oh"], blocks * s.oh * count["ow"]),
                              turns * t["n"] * np.where(whole, 1, t["c"]))
        exposed = cost.exposed(compute, compute, alu, store, turns * cost.ENDING, self.threads)
        return cost.total(cost.Work(load, compute, store, turns, exposed, alu), getattr(s, self.axis), t[self.axis], self.threads)


def window_cycles(s: Shape, cuts=1):
    """Cycles of DEPTHWISE for all outputs, whose rows are cut in so many pieces: an element of INP a cycle, and a window is
    whole only with its last one."""
    window = s.window
    step = min(window.strides[1], window.kw)
    return s.n * s.c * s.oh * s.parts * window.kh * ((s.ow - cuts) * step + cuts * window.kw)


@cost.remembered
def choose(subject_: str, s: Shape, config: Config, threads: int) -> Tile:
    """The tile of the fewest estimated cycles. WeftError where not even the smallest fits."""
    candidates = cost.grid(c=cost.sizes(s.c, 24), n=cost.sizes(s.n, 4), oh=cost.sizes(s.oh, 32), ow=cost.sizes(s.ow, 16))
    groups = [[Plan(s, config, axis, count) for count in counts for axis in (ORDER if count > 1 else ("oh",))]
              for counts in cost.numbers_of_threads(threads)]
    plan, sizes = cost.choose(subject_, config, groups, candidates)
    return Tile(**sizes, threads=plan.threads, thread_axis=plan.axis)


def program(name: str, s: Shape, tile: Tile, names: tuple[str, ...]) -> LoopProgram:
    """The loop program of a tile; names are those of x, w, qnt, the table if there is one, and y."""
    window = s.window
    x = te.placeholder("x", {"n": s.n, "c": s.c, "h": s.h, "w": s.w, "nb": s.batch, "cb": s.block}, "int8")
    w = te.placeholder("w", {"c": s.c, "kh": s.parts * window.kh, "cb": s.block, "t": s.block}, "int8")
    padded = pad(x, window, s.oh, s.ow, s.pad_value)
    kh, t = te.reduce_axis("kh", window.kh), te.reduce_axis("t", window.kw)
    part = [te.reduce_axis("r", s.parts)] if s.parts > 1 else []

    def product(n, c, oh, ow, nb, cb):
        seen = padded[n, c, *window.at(oh, ow, kh, t), nb, cb]
        row = part[0] * window.kh + kh if part else kh
        return te.sum(seen.astype("int32") * w[c, row, cb, t].astype("int32"), [*part, kh, t])

    sums = te.compute("sums", {"n": s.n, "c": s.c, "oh": s.oh, "ow": s.ow, "nb": s.batch, "cb": s.block}, product)
    end = requantised(sums, ("c", "cb"), s.table)
    arguments = dict(zip(names, (x, w, *end.parameters, end.y)))
    return lower(schedule(padded, w, sums, end, tile), name, arguments)


def schedule(padded: Tensor, w: Tensor, sums: Tensor, end, tile: Tile) -> Schedule:
    """Tiles in scratchpads: reset, load, depthwise, requantise and store for each; weights stay for a tile of channels."""
    s = Schedule(end.y)
    s[padded].set_scope("inp")
    weights = s.cache_read(w, "wgt", [sums])
    end.into_scratchpads(s)
    s[sums].set_scope("acc")
    over = cut(s[end.y], {axis: getattr(tile, axis) for axis in ORDER}, ORDER, tile.threads, tile.thread_axis)
    for tensor in (*end.stages, sums, padded):
        s[tensor].compute_at(s[end.y], over["ow"])
    end.load_at(s, over["c"])
    s[weights].compute_at(s[end.y], over["c"])
    n, c, oh, ow, nb, cb = s[sums].data_axes
    *kernel, t = s[sums].reduce_axes
    s[sums].reorder(*kernel, n, c, oh, ow, nb, cb, t)
    mark(s, {padded: "load", weights: "load", sums: "depthwise", end.y: "store"} | end.marks)
    return s


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a depthwise_conv2d node: x [N, C, H, W], w [C, 1, KH, KW], qnt [C] -> [N, C, OH, OW]."""
    shape = shape_of(node, graph, config)
    return program(node.name, shape, choose(subject(node), shape, config, virtual_threads), (*node.inputs, *node.outputs))
