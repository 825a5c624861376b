"""Convolution with requantisation: any stride, padding, dilation and kernel; blocks of channels, tails of tiles."""

from dataclasses import dataclass

from .. import te
from ..schedule import Schedule, Stage
from ..te import Axis, Tensor

ORDERS = ("weights", "inputs")


@dataclass(frozen=True)
class Shape:
    """A convolution in elements: n, ci, co count blocks; h, w are the input's, oh, ow the output's sizes in elements."""

    n: int
    ci: int
    co: int
    h: int
    w: int
    oh: int
    ow: int
    kh: int
    kw: int
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    pad_value: int
    batch: int
    block: int


@dataclass(frozen=True)
class Tile:
    """How a convolution is cut.

    n, co, oh, ow, ci: elements of a tile along each axis.
    order: what stays while the inner tile loop runs: 'weights' (output channels are the outer loop) or 'inputs'.
    hold: whether that tensor is loaded for all input channels in the outer loop; else each turn loads its own.
    threads: virtual threads; they divide the tiles along `thread_axis`, 'n', 'co', 'oh' or 'ow'.
    """

    n: int
    co: int
    oh: int
    ow: int
    ci: int
    order: str = "weights"
    hold: bool = False
    threads: int = 1
    thread_axis: str = "oh"


@dataclass(frozen=True)
class Conv2d:
    """The tensors of a definition, in the order of the arguments, and the stages between."""

    x: Tensor
    w: Tensor
    qnt: Tensor
    y: Tensor
    padded: Tensor
    sums: Tensor


def define(s: Shape) -> Conv2d:
    """y = int8(requant(sum of padded x * w, qnt)). A kernel of one row reads no more rows than it uses."""
    x = te.placeholder("x", {"n": s.n, "ci": s.ci, "h": s.h, "w": s.w, "nb": s.batch, "k": s.block}, "int8")
    w = te.placeholder("w", {"co": s.co, "ci": s.ci, "kh": s.kh, "kw": s.kw, "cb": s.block, "k": s.block}, "int8")
    qnt = te.placeholder("qnt", {"co": s.co, "cb": s.block}, "qnt", element_rank=1)
    top, left, bottom, right = s.pads
    (sh, sw), (dh, dw) = s.strides, s.dilations
    skip = sh if s.kh == 1 else 1  # rows between two rows that are used
    rows = (s.oh - 1) * (1 if s.kh == 1 else sh) + (s.kh - 1) * dh + 1
    columns = (s.ow - 1) * sw + (s.kw - 1) * dw + 1

    def pad(n, ci, h, w_, nb, k):
        row, column = h * skip - top, w_ - left
        conditions = [row.ge(0)] * bool(top) + [row.lt(s.h)] * ((rows - 1) * skip - top >= s.h)
        conditions += [column.ge(0)] * bool(left) + [column.lt(s.w)] * (columns - 1 - left >= s.w)
        return te.select(conditions, x[n, ci, row, column, nb, k], s.pad_value)

    padded = te.compute("x_pad", {"n": s.n, "ci": s.ci, "h": rows, "w": columns, "nb": s.batch, "k": s.block}, pad)
    ci, kh, kw = te.reduce_axis("ci", s.ci), te.reduce_axis("kh", s.kh), te.reduce_axis("kw", s.kw)
    k = te.reduce_axis("k", s.block)
    step = 1 if s.kh == 1 else sh
    out = {"n": s.n, "co": s.co, "oh": s.oh, "ow": s.ow, "nb": s.batch, "cb": s.block}
    sums = te.compute("sums", out, lambda n, co, oh, ow, nb, cb: te.sum(
        padded[n, ci, oh * step + kh * dh, ow * sw + kw * dw, nb, k].astype("int32") * w[co, ci, kh, kw, cb, k].astype("int32"),
        [ci, kh, kw, k]))
    y = te.compute("y", out, lambda n, co, oh, ow, nb, cb:
                   qnt[co, cb].requantise(sums[n, co, oh, ow, nb, cb]).astype("int8"))
    return Conv2d(x, w, qnt, y, padded, sums)


def schedule(conv: Conv2d, tile: Tile) -> Schedule:
    """Tiles in scratchpads: reset, load, gemm, requantise and store for each."""
    s = Schedule(conv.y)
    s[conv.padded].set_scope("inp")
    weights = s.cache_read(conv.w, "wgt", [conv.sums])
    quantised = s.cache_write(conv.y, "acc")
    qnt = s.cache_read(conv.qnt, "qnt", [quantised])
    s[conv.sums].set_scope("acc")
    outer, inner = _tile_output(s[conv.y], tile)
    s[quantised].compute_at(s[conv.y], inner)
    s[conv.sums].compute_at(s[conv.y], inner)
    ci_outer = _order_sums(s[conv.sums], tile)
    places = {"outer": (s[conv.y], outer), "inner": (s[conv.sums], ci_outer)}
    s[weights].compute_at(*places["outer" if tile.order == "weights" and tile.hold else "inner"])
    s[conv.padded].compute_at(*places["outer" if tile.order == "inputs" and tile.hold else "inner"])
    s[qnt].compute_at(s[conv.y], outer if tile.order == "weights" else inner)
    for tensor, name in ((conv.padded, "load"), (weights, "load"), (qnt, "load"), (quantised, "alu"), (conv.y, "store")):
        axes = s[tensor].data_axes
        s[tensor].tensorize(axes[len(axes) - tensor.element_rank], name)
    return s


def _tile_output(y: Stage, tile: Tile) -> tuple[Axis, Axis]:
    """Splits the output in tiles and threads. Returns the last loop of the outer kind, and the last over tiles."""
    n, co, oh, ow, nb, cb = y.leaves
    split = {name: y.split(axis, getattr(tile, name)) for name, axis in (("n", n), ("co", co), ("oh", oh), ("ow", ow))}
    over = {name: [pair[0]] for name, pair in split.items()}
    if tile.threads > 1:
        over[tile.thread_axis] = list(y.split(over[tile.thread_axis][0], tile.threads))
        y.vthread(over[tile.thread_axis][1])
    space = over["n"] + over["oh"] + over["ow"]
    first, second = (over["co"], space) if tile.order == "weights" else (space, over["co"])
    y.reorder(*first, *second, *(pair[1] for pair in split.values()), nb, cb)
    return first[-1], second[-1]


def _order_sums(sums: Stage, tile: Tile) -> Axis:
    """Reduction outside of space, so that steps in a row meet different accumulators. Returns the loop over tiles of ci."""
    n, co, oh, ow, nb, cb = sums.data_axes
    ci, kh, kw, k = sums.reduce_axes
    ci_outer, ci_inner = sums.split(ci, tile.ci)
    sums.reorder(ci_outer, ci_inner, kh, kw, n, co, oh, ow, nb, cb, k)
    sums.tensorize(nb, "gemm")
    return ci_outer
