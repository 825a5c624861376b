"""Convolution with requantisation: any stride, padding, dilation and kernel; blocks of channels, tails of tiles.

`conv2d_add` adds another tensor to what was requantised, and requantises the sum, before it leaves the scratchpad.
"""

from dataclasses import dataclass

from weft.isa import Config, WeftError
from weft.runtime.layout import gathered_shape

from .. import te
from ..lower import lower
from ..schedule import Schedule, Stage
from ..stmt import LoopProgram
from ..te import Axis, Tensor
from .common import Ending, Window, image, pad, requantised, subject
from .conv2d_tile import INNER, OUTER, Shape, Tile, choose
from .tiling import cut, mark


@dataclass(frozen=True)
class Conv2d:
    """The tensors of a definition. added: what conv2d_add has more."""

    x: Tensor
    w: Tensor
    end: Ending
    padded: Tensor
    sums: Tensor
    added: "Added | None" = None

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """The inputs in a node's order, and the output."""
        added = (self.added.qnt, self.added.other) if self.added else ()
        return (self.x, self.w, *added, *self.end.parameters, self.end.y)


@dataclass(frozen=True)
class Added:
    """other int8, and qnt of the convolution itself; reader: what reads other; between: what is computed on the way, in order."""

    other: Tensor
    qnt: Tensor
    reader: Tensor
    between: tuple[Tensor, ...]


def define(s: Shape) -> Conv2d:
    """y = int8(requant(sum of padded x * w, qnt)), and a table if there is one. Axis g, over groups, is there only if there are
    several; likewise r, over kernels that lie one below the other and whose sum is the kernel."""
    window, g = s.window, {"g": s.g} if s.g > 1 else {}
    x = te.placeholder("x", {"n": s.n, **g, "ci": s.ci, "h": s.h, "w": s.w, "nb": s.batch, "k": s.block}, "int8")
    w = te.placeholder("w", {**g, "co": s.co, "ci": s.ci, "kh": s.parts * window.kh, "kw": window.kw, "cb": s.block, "k": s.block},
                       "int8")
    padded = pad(x, window, s.oh, s.ow, s.pad_value)
    ci, kh, kw = te.reduce_axis("ci", s.ci), te.reduce_axis("kh", window.kh), te.reduce_axis("kw", window.kw)
    k = te.reduce_axis("k", s.block)
    part = [te.reduce_axis("r", s.parts)] if s.parts > 1 else []

    def product(n, *rest):
        *group, co, oh, ow, nb, cb = rest
        seen = padded[n, *group, ci, *window.at(oh, ow, kh, kw), nb, k]
        row = part[0] * window.kh + kh if part else kh
        return te.sum(seen.astype("int32") * w[*group, co, ci, row, kw, cb, k].astype("int32"), [ci, *part, kh, kw, k])

    out = {"n": s.n, **g, "co": s.co, "oh": s.oh, "ow": s.ow, "nb": s.batch, "cb": s.block}
    sums = te.compute("sums", out, product)
    if s.factors is None:
        return Conv2d(x, w, requantised(sums, (*g, "co", "cb"), s.table), padded, sums)
    total, added = _add(sums, (*g, "co", "cb"), s.factors)
    return Conv2d(x, w, requantised(total, (*g, "co", "cb"), s.table), padded, sums, added)


def _add(sums: Tensor, channel: tuple[str, ...], factors: tuple[int, int]) -> tuple[Tensor, Added]:
    """requant(sums) * factors[0] + other * factors[1], int32."""
    out = {axis.name: axis.extent for axis in sums.axes}
    places = [list(out).index(name) for name in channel]
    qnt = te.placeholder("own_qnt", {name: out[name] for name in channel}, "qnt", element_rank=1)
    other = te.placeholder("other", out, "int8")
    quantised = te.compute("own", out, lambda *i: qnt[tuple(i[k] for k in places)].requantise(sums[i]))
    terms = [tensor if factor == 1 else te.compute(f"{tensor.name}_scaled", out, lambda *i, x=tensor, m=factor: x[i].astype("int32") * int(m))
             for tensor, factor in zip((quantised, other), factors)]
    total = te.compute("total", out, lambda *i: terms[0][i].astype("int32") + terms[1][i].astype("int32"))
    scaled = tuple(term for term in terms if term not in (quantised, other))
    return total, Added(other, qnt, total if terms[1] is other else terms[1], (quantised, *scaled, total))


def schedule(conv: Conv2d, tile: Tile) -> Schedule:
    """Tiles in scratchpads: reset, load, gemm, requantise and store for each."""
    end, y = conv.end, conv.end.y
    s = Schedule(y)
    s[conv.padded].set_scope("inp")
    weights = s.cache_read(conv.w, "wgt", [conv.sums])
    end.into_scratchpads(s)
    s[conv.sums].set_scope("acc")
    between, lanes = (), []
    if conv.added is not None:
        between = (*conv.added.between, s.cache_read(conv.added.other, "acc", [conv.added.reader]))
        lanes = [s.cache_read(conv.added.qnt, "qnt", [conv.added.between[0]])]
    there = {axis.name for axis in y.axes}
    order = [axis for axis in (*OUTER[tile.order], *INNER[tile.order]) if axis in there]
    over = cut(s[y], {axis: getattr(tile, axis) for axis in order}, order, tile.threads, tile.thread_axis)
    outer, inner = over[[axis for axis in OUTER[tile.order] if axis in there][-1]], over[order[-1]]
    for tensor in (*end.stages, *between, conv.sums):
        s[tensor].set_scope("acc")
        s[tensor].compute_at(s[y], inner)
    ci_outer = _order_sums(s[conv.sums], tile)
    places = {"outer": (s[y], outer), "inner": (s[conv.sums], ci_outer)}
    s[weights].compute_at(*places["outer" if tile.order == "weights" and tile.hold else "inner"])
    s[conv.padded].compute_at(*places["outer" if tile.order == "inputs" and tile.hold else "inner"])
    end.load_at(s, outer if tile.order == "weights" else inner)
    for tensor in lanes:
        s[tensor].compute_at(s[y], outer if tile.order == "weights" else inner)
    marks = {**dict.fromkeys(between[:-1], "alu"), **dict.fromkeys(between[-1:], "load"), **dict.fromkeys(lanes, "load")}
    mark(s, {conv.padded: "load", weights: "load", conv.sums: "gemm", y: "store"} | end.marks | marks)
    return s


def _order_sums(sums: Stage, tile: Tile) -> Axis:
    """Reduction outside of space, so that steps in a row meet different accumulators. Returns the innermost loop over tiles of ci, and
    of the kernel if that is cut."""
    *space, nb, cb = sums.data_axes
    ci, *kernel, k = sums.reduce_axes
    ci_outer, ci_inner = sums.split(ci, tile.ci)
    outer, inner = [ci_outer], [ci_inner, *kernel]
    for axis, size in ((kernel[-2], tile.kh), (kernel[-1], tile.kw)):
        if size is not None and size < axis.extent:
            pair = sums.split(axis, size)
            outer.append(pair[0])
            inner[inner.index(axis)] = pair[1]
    sums.reorder(*outer, *inner, *space, nb, cb, k)
    return outer[-1]


def program(name: str, s: Shape, tile: Tile, names: tuple[str, ...]) -> LoopProgram:
    """The loop program of a tile; names are those of the node's inputs and of y."""
    conv = define(s)
    return lower(schedule(conv, tile), name, dict(zip(names, conv.arguments)))


def shape_of(node, graph, config: Config) -> Shape:
    """The convolution that a conv2d, conv2d_add or dense node is.

    Raises
    ------
    WeftError: for padding that the machine cannot do, or groups that share a block of channels.
    """
    x, w = (graph.tensors[name].shape for name in node.inputs[:2])
    n, ci, h, w_ = image(gathered_shape(x, node.attrs["gather"]) if "gather" in node.attrs else x, config)
    _, co, oh, ow = image(graph.tensors[node.outputs[0]].shape, config)
    kh, kw = w[2:] or (1, 1)
    parts = node.attrs.get("parts", 1)
    window = Window(kh // parts, kw, *(tuple(node.attrs.get(key, default)) for key, default in
                              (("strides", (1, 1)), ("pads", (0, 0, 0, 0)), ("dilations", (1, 1)))))
    g, block = node.attrs.get("groups", 1), config.block_in
    if g > 1 and (w[1] % block or w[0] // g % block):
        raise WeftError(subject(node), f"channels of a group are a multiple of the block of {block}, in and out",
                        f"{w[1]} in and {w[0] // g} out", "weights widened with zeros to whole blocks, or the host")
    return Shape(n=n, ci=ci // g, co=co // g, h=h, w=w_, oh=oh, ow=ow, window=window, pad_value=node.attrs.get("pad_value", 0),
                 batch=config.batch, block=block, g=g, table=len(node.inputs) > (5 if node.op == "conv2d_add" else 3), parts=parts,
                 factors=node.attrs.get("multipliers"))


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The loop program of a conv2d or conv2d_add node."""
    shape = shape_of(node, graph, config)
    tile = choose(subject(node), shape, config, virtual_threads)
    return program(node.name, shape, tile, (*node.inputs, *node.outputs))
