"""Sums of products of float32: a block makes a tile of 64 by 64 sums from shared memory, a thread 4 by 4 of them.

    sums[g, p, c] = sum over k of x(g, p, k) * w(g, c, k)         g: matrices beside one another; p: rows; c: columns
"""

from collections.abc import Callable
from dataclasses import dataclass

from .. import te
from ..expr import Expr
from ..lower import lower
from ..schedule import Schedule, Stage
from ..stmt import LoopProgram
from ..te import Axis, Tensor
from .products import padded

THREADS = 16  # of a block, along rows and along columns
EACH = 4  # rows and columns of a thread
TILE, DEPTH = THREADS * EACH, 16  # rows or columns of a block, and products for which it fills shared memory once
SMALL = 16  # rows of a tile where there are no more: a thread has one


@dataclass(frozen=True)
class Problem:
    """Sizes; x, w: the expressions of the factors, asked for indices below the sizes only; finish: (sum, g, p, c) to the
    stored value; into, at: where (g, p, c) is stored, as of te.compute."""

    matrices: int
    rows: int
    columns: int
    depth: int
    x: Callable[[Expr, Expr, Expr], Expr]
    w: Callable[[Expr, Expr, Expr], Expr]
    finish: Callable[[Expr, Expr, Expr, Expr], Expr]
    into: Tensor
    at: Callable[[Expr, Expr, Expr], tuple[Expr, ...]]

    @property
    def tall(self) -> int:
        """Rows of a tile."""
        return TILE if self.rows > SMALL else SMALL

    @property
    def blocks(self) -> int:
        return self.matrices * -(-self.rows // self.tall) * -(-self.columns // TILE)


def program(name: str, q: Problem, arguments: Callable[[], dict[str, Tensor]], output: str) -> LoopProgram:
    """The scheduled program. arguments: asked once `finish` was called; the output comes last, under the name `output`."""
    whole = {"g": q.matrices, "p": padded(q.rows, q.tall), "c": padded(q.columns, TILE)}
    k = te.reduce_axis("k", padded(q.depth, DEPTH))
    zero = lambda conditions, value: te.select(conditions, value, 0.0)  # noqa: E731
    within = lambda i, size, whole_: [i.lt(size)] if size < whole_ else []  # noqa: E731
    x = te.compute("x", {"g": q.matrices, "k": k.extent, "p": whole["p"]}, lambda g, k_, p: zero(
        within(p, q.rows, whole["p"]) + within(k_, q.depth, k.extent), q.x(g, p, k_)), 0)
    w = te.compute("w", {"g": q.matrices, "k": k.extent, "c": whole["c"]}, lambda g, k_, c: zero(
        within(c, q.columns, whole["c"]) + within(k_, q.depth, k.extent), q.w(g, c, k_)), 0)
    sums = te.compute("sums", whole, lambda g, p, c: te.sum(x[g, k, p] * w[g, k, c], [k], 0.0), 0)
    y = te.compute("y", whole, lambda g, p, c: q.finish(sums[g, p, c], g, p, c), 0, kept=(q.matrices, q.rows, q.columns),
                   into=q.into, at=q.at)
    s = Schedule(y)
    inner = _outputs(s[y], q.tall)
    depth = _sums(s[sums], s[y], inner)
    for copy in (x, w):
        s[copy].set_scope("shared")
        s[copy].compute_at(s[sums], depth)
        _bring(s[copy])
    return lower(s, name, {**arguments(), output: y})


def _outputs(y: Stage, tall: int) -> Axis:
    """Blocks and threads over the outputs; returns the innermost loop of threads."""
    g, p, c = y.leaves
    block_p, p = y.split(p, tall)
    row, p = y.split(p, tall // THREADS)
    block_c, c = y.split(c, TILE)
    column, c = y.split(c, EACH)
    y.reorder(g, block_p, block_c, row, column, p, c)
    for axis, thread in ((block_p, "blockIdx.x"), (block_c, "blockIdx.y"), (g, "blockIdx.z"), (row, "threadIdx.y"),
                         (column, "threadIdx.x")):
        y.bind(axis, thread)
    y.unroll(p)
    y.vectorise(c)
    return column


def _sums(sums: Stage, y: Stage, at: Axis) -> Axis:
    """A thread's sums in registers; returns the loop whose turns take DEPTH products."""
    sums.set_scope("reg")
    sums.compute_at(y, at)
    g, p, c, k = sums.leaves
    depth, k = sums.split(k, DEPTH)
    sums.reorder(depth, k, g, p, c)
    for axis in (p, c):  # LLVM unrolls k
        sums.unroll(axis)
    return depth


def _bring(copy: Stage):
    """All threads copy a tile, neighbouring ones along the products, which lie one after the other in most factors."""
    g, k, p = copy.leaves
    copy.reorder(g, p, k)
    turn, one = copy.split(copy.fuse(p, k), THREADS * THREADS)
    row, column = copy.split(one, THREADS)
    copy.bind(row, "threadIdx.y")
    copy.bind(column, "threadIdx.x")
    copy.unroll(turn)
