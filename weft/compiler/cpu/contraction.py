"""Sums of products over windows and channels, the core of convolutions and matrix products, as one tensor expression.

Axes are those of images: n, groups of channels, channels c, rows h, columns w. A matrix product has its rows as columns w of
an image of one row. What follows the sums (requantisation, a table, another tensor, a clamp) is an `ending`, a function of
the sum at a point; it is applied to the sums while they are in registers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import gcd, prod

from weft.llvm.machine import Form

from .. import te
from ..expr import Expr
from ..lower import lower
from ..schedule import Schedule, Stage
from ..stmt import LoopProgram
from ..te import Axis, Tensor
from . import tile as tiles
from .kernel import LANES, View

FOUR = 4  # bytes that are multiplied together
UNROLLED = 2  # steps of products that are written out
IN_CACHE = 1 << 18  # bytes of weights that stay in a core's cache while an image is gone through row by row

Ending = Callable[[Expr, tuple[Expr, ...]], Expr]  # of the sum and of its point (n, c, h, w)


@dataclass(frozen=True)
class Contraction:
    """The sums at [n, c, h, w]; x, y: views of images, y's dtype that of what is stored.

    of_bytes: x is uint8 and the weights int8, sums are int32; else all are float32. parts: the weights are the sum of that
    many. weights: of a product of two computed float32 matrices, where the second one lies, as [n, step, c]; its n has
    stride 0 where all share it.
    """

    x: View
    y: View
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    parts: int = 1
    weights: View | None = None

    @property
    def of_bytes(self) -> bool:
        return self.x.dtype == "uint8"

    @property
    def inputs(self) -> int:
        """Channels that a sum is over."""
        return self.x.shape[1] // self.groups

    @property
    def outputs(self) -> int:
        """Channels of a group."""
        return self.y.shape[1] // self.groups

    @property
    def by_four(self) -> bool:
        """Whether bytes are multiplied four at a time: their groups begin at a multiple of four."""
        return self.of_bytes and (self.groups == 1 or self.inputs % FOUR == 0)

    @property
    def lanes(self) -> int:
        """Channels of a vector; of groups, as many as divide them."""
        return LANES if self.groups == 1 else gcd(self.outputs, LANES)

    @property
    def vectors(self) -> int:
        """Vectors of channels of a group, the last one perhaps not full."""
        return -(-self.outputs // self.lanes)

    @property
    def steps(self) -> int:
        """Steps along the input channels."""
        return -(-self.inputs // FOUR) if self.by_four else self.inputs

    @property
    def depth(self) -> int:
        return self.steps * prod(self.kernel) * self.parts

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """[group, vector of outputs, part, row, column, step, output of a vector] and, by four, [input of a step]."""
        return (self.groups, self.vectors, self.parts, *self.kernel, self.steps, self.lanes) + (FOUR,) * self.by_four

    def flattened(self) -> "Contraction":
        """The same with all rows as one where no window reaches beyond a pixel: longer rows have fewer ends."""
        x, y = one_row(self.x), one_row(self.y)
        if self.kernel != (1, 1) or self.strides != (1, 1) or self.pads != (0, 0) or x is None or y is None:
            return self
        return Contraction(x, y, groups=self.groups, parts=self.parts, weights=self.weights)


def one_row(view: View) -> View | None:
    """An image with all rows as one; None where they do not follow one another in memory."""
    n, c, h, w = view.shape
    if view.strides[2] != w * view.strides[3]:
        return None
    return View(view.dtype, (n, c, 1, h * w), (*view.strides[:2], h * w * view.strides[3], view.strides[3]), view.offset,
                (*view.around[:2], (0, 0), (0, 0)))


def room(view: View, axis: int = 1) -> int:
    """Channels as kernels write them: whole vectors where there is memory for them."""
    c, (_, high) = view.shape[axis], view.around[axis]
    whole = -(-c // LANES) * LANES
    return whole if whole - c <= high and view.strides[axis] == 1 else c


@dataclass
class Definition:
    """Tensors of a contraction. others: what the ending reads, arguments of the program by name."""

    c: Contraction
    x: Tensor
    w: Tensor
    sums: Tensor
    y: Tensor
    others: dict[str, Tensor] = field(default_factory=dict)


def define(c: Contraction, bias: Tensor, others: Mapping[str, Tensor], ending: Ending) -> Definition:
    """bias: [c] of the sums' dtype, where they begin; whole vectors of LANES."""
    size = room(c.y) if c.groups == 1 else c.outputs
    size = min(size, room(c.weights, 2)) if c.weights else size
    g = {"g": c.groups} if c.groups > 1 else {}
    n, _, oh, ow = c.y.shape
    out = {"n": n, **g, "c": size, "h": oh, "w": ow}
    x = c.x.placeholder("x")
    if c.weights is not None:
        w = c.weights.placeholder("w")
    else:
        axes = {f"w{k}": extent for k, extent in enumerate(c.weights_shape)}
        w = te.placeholder("w", axes, "int8" if c.of_bytes else "float32", 0)
    part = [te.reduce_axis("part", c.parts)]
    kh, kw, step = te.reduce_axis("kh", c.kernel[0]), te.reduce_axis("kw", c.kernel[1]), te.reduce_axis("step", c.steps)
    four = [te.reduce_axis("four", FOUR)] if c.by_four else []

    def product(n, *rest):
        *group, o, h, w_ = rest
        at = (h * c.strides[0] + kh * c.dilations[0] - c.pads[0], w_ * c.strides[1] + kw * c.dilations[1] - c.pads[1])
        channel = step * FOUR + four[0] if four else step
        channel = group[0] * c.inputs + channel if group else channel
        seen = x[n, channel, *at]
        if c.weights is None:
            weight = w[group[0] if group else 0, o // c.lanes, part[0], kh, kw, step, o % c.lanes, *four]
        else:
            weight = w[n, step, o]
        dtype = "int32" if c.of_bytes else "float32"
        return te.sum(seen.astype(dtype) * weight.astype(dtype), [*part, kh, kw, step, *four], bias[_channel(c, group, o)])

    sums = te.compute("sums", out, product, 0)
    sn, sc, sh, sw = c.y.strides
    strides = (sn, *([c.outputs * sc] if g else []), sc, sh, sw)
    low = tuple(before for before, _ in c.y.around)
    stored = lambda n, *i: ending(sums[n, *i], (n, _channel(c, i[:-3], i[-3]), *i[-2:])).astype(c.y.dtype)  # noqa: E731
    y = te.compute("y", out, stored, 0, strides,
                   (low[0], *([0] if g else []), *low[1:]))
    return Definition(c, x, w, sums, y, {"$bias": bias, **others})


def _channel(c: Contraction, group, o: Expr) -> Expr:
    return group[0] * c.outputs + o if group else o


def schedule(d: Definition, form: Form) -> tuple[Schedule, int]:
    """Tiles of sums in registers; returns the turns of the parallel loop as well."""
    c, s = d.c, Schedule(d.y)
    ow = c.y.shape[3]
    tile = tiles.choose(form, ow, c.vectors, c.depth, c.of_bytes) if c.by_four or not c.of_bytes else tiles.Tile(1, 1)
    s[d.sums].set_scope("reg")
    n, *group, channels, h, w = s[d.y].leaves
    w_outer, w_inner = s[d.y].split(w, tile.positions)
    vectors, lanes = s[d.y].split(channels, c.lanes)
    v_outer, v_inner = s[d.y].split(vectors, tile.vectors)
    outer = _order(c, n, group, v_outer, h, w_outer)
    s[d.y].reorder(*outer, w_inner, v_inner, lanes)
    _inner(s[d.y], w_inner, v_inner)
    s[d.y].vectorise(lanes)
    s[d.y].parallel(outer[0])
    s[d.sums].compute_at(s[d.y], outer[-1])
    _order_sums(s[d.sums], c)
    return s, outer[0].extent


def _order(c: Contraction, n: Axis, group: list[Axis], v: Axis, h: Axis, w: Axis) -> list[Axis]:
    """Loops around a tile, of which threads share the outermost: rows, or pieces of the only one, where the weights stay in
    the cache, else vectors of channels, whose weights are then read once."""
    if c.weights is not None and n.extent > 1:
        return [n, v, h, w]
    stay = prod(c.weights_shape) * (1 if c.of_bytes else 4) <= IN_CACHE
    if stay and h.extent > 1:
        return [h, n, *group, v, w]
    if stay and w.extent > 1 and not group:
        return [w, n, v, h]
    return [*group, v, n, h, w]


def _inner(stage: Stage, *axes: Axis):
    for axis in axes:
        stage.unroll(axis)


def _order_sums(stage: Stage, c: Contraction):
    """Products outside, so that all sums of the tile take part in each step."""
    n, *group, channels, h, w = stage.data_axes
    part, kh, kw, step, *four = stage.reduce_axes
    vectors, lanes = stage.split(channels, c.lanes)
    unrolled = []
    if c.steps % UNROLLED == 0:
        step, inner = stage.split(step, UNROLLED)
        unrolled = [inner]
    stage.reorder(n, *group, h, part, kh, kw, step, *unrolled, w, vectors, lanes, *four)
    _inner(stage, w, vectors, *unrolled)
    if c.by_four:
        stage.tensorize(lanes, "dot4")
    else:
        stage.vectorise(lanes)


def program(d: Definition, form: Form, name: str, names: Mapping[str, str]) -> tuple[LoopProgram, int]:
    """The loop program and its turns. names: of the arguments x and y, and of computed weights w; others keep theirs."""
    s, turns = schedule(d, form)
    arguments = {names["x"]: d.x, names.get("w", "$weights"): d.w, **d.others, names["y"]: d.y}
    return lower(s, name, arguments), turns
