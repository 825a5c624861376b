"""Convolutions of 3x3 by Winograd's F(2x2, 3x3): 16 products for four outputs in place of 36, in float32.

    y = A' [ (G g G') * (B' d B) ] A       (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015)

d is a tile of 4x4 inputs, g a kernel, * is point by point: each of the 16 points is a matrix product over channels. A block
of rows of tiles goes through all of it at once, so that what is between stays in a core's cache.
"""

import numpy as np

from weft.llvm.machine import Form

from .. import te
from ..expr import Expr, Select
from ..lower import lower
from ..schedule import Schedule
from ..stmt import LoopProgram
from ..te import Tensor
from . import tile as tiles
from .contraction import UNROLLED, Contraction, Ending, room
from .kernel import LANES

POINTS = 4  # of a tile, along each axis
BLOCK = 1 << 16  # float32 of transformed inputs that a block has at most, where a row of tiles allows
SHARES = 4  # blocks for threads to share, at least
MOST_WEIGHTS = 5 << 20  # bytes of transformed weights: beyond, reading them takes longer than the products
LEAST = 49  # tiles, below which the transformations do not pay
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def pays(c: Contraction, form: Form) -> bool:
    """Whether it is done so: where it is faster, and tiles and vectors are whole."""
    _, _, h, w = c.y.shape
    plain = c.kernel == (3, 3) and c.strides == c.dilations == (1, 1) and c.groups == 1
    plain = plain and not c.of_bytes and form.vector_bits >= 256
    whole = h % 2 == w % 2 == 0 and c.x.shape[1] % LANES == 0 and room(c.y) % LANES == 0 and c.x.strides[1] == 1
    weights = POINTS ** 2 * c.inputs * room(c.y) * 4
    return plain and whole and min(c.inputs, c.outputs) >= 2 * LANES and weights <= MOST_WEIGHTS and h * w // 4 >= LEAST


def packed(w: np.ndarray, c: Contraction) -> np.ndarray:
    """w [outputs, inputs, 3, 3] transformed, as [vector of outputs, point, point, input, output of a vector]."""
    points = np.einsum("ai,oqij,bj->oabq", G, w.astype(np.float64), G).astype(np.float32)
    full = np.zeros((room(c.y), *points.shape[1:]), np.float32)
    full[:len(w)] = points
    return np.ascontiguousarray(full.reshape(-1, LANES, *points.shape[1:]).transpose(0, 2, 3, 4, 1))


def _input_point(a: Expr, d) -> Expr:
    """B' d at point a; d(i) is the i-th of four."""
    return Select(a.eq(0), d(0) - d(2), Select(a.eq(1), d(1) + d(2), Select(a.eq(2), d(2) - d(1), d(1) - d(3))))


def _output_point(r: Expr, m) -> Expr:
    """A' m at point r of two."""
    return Select(r.eq(0), m(0) + m(1) + m(2), m(1) - m(2) - m(3))


def program(c: Contraction, bias: Tensor, apply: Ending, form: Form, name: str, x_name: str,
            y_name: str) -> tuple[LoopProgram, int]:
    """The loop program and its turns; arguments x, $weights (see `packed`), $bias, y."""
    n, _, oh, ow = c.y.shape
    size, channels, rows, columns = room(c.y), c.inputs, oh // 2, ow // 2
    x = c.x.placeholder("x")
    w = te.placeholder("w", {"v": size // LANES, "a": POINTS, "b": POINTS, "k": channels, "l": LANES}, "float32", 0)
    points = {"n": n, "a": POINTS, "b": POINTS, "ty": rows, "tx": columns}
    half = te.compute("half", {**points, "k": channels}, lambda n, a, j, ty, tx, k: _input_point(
        a, lambda i: x[n, k, ty * 2 + i - c.pads[0], tx * 2 + j - c.pads[1]]), 0)
    seen = te.compute("seen", {**points, "k": channels}, lambda n, a, b, ty, tx, k: _input_point(
        b, lambda j: half[n, a, j, ty, tx, k]), 0)
    k = te.reduce_axis("k", channels)
    sums = te.compute("sums", {**points, "c": size}, lambda n, a, b, ty, tx, o: te.sum(
        seen[n, a, b, ty, tx, k] * w[o // LANES, a, b, k, o % LANES], [k]), 0)
    products = te.compute("products", {**points, "c": size}, lambda *i: sums[i], 0)

    def output(n, o, h, v):
        column = lambda b: _output_point(h % 2, lambda a: products[n, a, b, h // 2, v // 2, o])  # noqa: E731
        return apply(_output_point(v % 2, column) + bias[o], (n, o, h, v))

    y = te.compute("y", {"n": n, "c": size, "h": oh, "w": ow}, output, 0, c.y.strides, tuple(low for low, _ in c.y.around))
    s = Schedule(y)
    most = min(-(-rows // SHARES), BLOCK // (POINTS ** 2 * columns * channels))
    block = max(k for k in range(1, rows + 1) if rows % k == 0 and k <= max(1, most))
    turns = _schedule(s, y, products, sums, seen, half, tiles.choose(form, columns, size // LANES, channels, False), block)
    return lower(s, name, {x_name: x, "$weights": w, "$bias": bias, y_name: y}), turns


def _schedule(s: Schedule, y: Tensor, products: Tensor, sums: Tensor, seen: Tensor, half: Tensor, tile: tiles.Tile,
              block: int) -> int:
    """Blocks of rows of tiles, which threads share; within, vectors of outputs; returns the number of blocks."""
    n, o, h, v = s[y].leaves
    (h, in_y), (v, in_x) = s[y].split(h, 2), s[y].split(v, 2)
    blocks, row = s[y].split(h, block)
    vectors, lanes = s[y].split(o, LANES)
    group, vector = s[y].split(vectors, tile.vectors)
    s[y].reorder(blocks, n, group, row, v, vector, in_y, in_x, lanes)
    s[y].parallel(blocks)
    s[y].vectorise(lanes)
    for axis in (in_y, in_x):
        s[y].unroll(axis)
    for stage, scope, reader, axis in ((products, "local", y, group), (seen, "local", y, n)):
        s[stage].set_scope(scope)
        s[stage].compute_at(s[reader], axis)
    _transform(s, seen, half)
    _multiply(s, products, sums, tile)
    return blocks.extent


def _transform(s: Schedule, seen: Tensor, half: Tensor):
    """A tile of 4x4 in registers, a vector of channels at a time."""
    n, a, b, ty, tx, k = s[seen].leaves
    outer, lanes = s[seen].split(k, LANES)
    s[seen].reorder(n, ty, tx, outer, a, b, lanes)
    s[half].set_scope("reg")
    s[half].compute_at(s[seen], outer)
    n, a_, j, ty, tx, k = s[half].leaves
    for stage, axes, last in ((seen, (a, b), lanes), (half, (a_, j), k)):
        s[stage].vectorise(last)
        for axis in axes:
            s[stage].unroll(axis)


def _multiply(s: Schedule, products: Tensor, sums: Tensor, tile: tiles.Tile):
    """Sums in registers, a tile of positions by vectors of outputs."""
    n, a, b, ty, tx, o = s[products].leaves
    outer, inner = s[products].split(tx, tile.positions)
    vectors, lanes = s[products].split(o, LANES)
    s[products].reorder(n, a, b, ty, outer, inner, vectors, lanes)
    s[sums].set_scope("reg")
    s[sums].compute_at(s[products], outer)
    n, a, b, ty, tx, o, k = s[sums].leaves
    step, unrolled = s[sums].split(k, UNROLLED)
    vector, lanes_ = s[sums].split(o, LANES)
    s[sums].reorder(n, a, b, ty, step, unrolled, tx, vector, lanes_)
    for stage, axes, last in ((products, (inner, vectors), lanes), (sums, (unrolled, tx, vector), lanes_)):
        s[stage].vectorise(last)
        for axis in axes:
            s[stage].unroll(axis)
