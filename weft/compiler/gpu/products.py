"""Sums of products of bytes on tensor cores: what convolutions and matrix products have in common.

    sums[p, c] = sum over (k, v) of x(p, k, v) * w[c, k, v]          p: rows (pixels), c: columns (output channels)

A block of threads makes a tile of rows by columns. For each MMA_DEPTH products it brings the tile's x and w into shared
memory, where x may gather what it likes; each warp then multiplies a part of the rows with all columns of the tile. A
thread keeps neighbouring rows and columns, so that it stores whole vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .. import te
from ..expr import Expr
from ..lower import lower
from ..schedule import Schedule, Stage
from ..stmt import LoopProgram
from ..te import Axis, Tensor
from .tensor import MMA_DEPTH

LANES, GROUPS = 4, 8  # of a warp: threadIdx.x and threadIdx.y
BLOCKS = 264  # at least so many keep the largest GPUs busy: two for each of an H100's 132 multiprocessors
PITCH = MMA_DEPTH + 4  # bytes between two rows of a shared tile: the 32 words that a warp reads lie in 32 banks


@dataclass(frozen=True)
class Tile:
    """warps: of a block, along the rows. rows, columns: of 16 and of 8, how many each warp has."""

    warps: int
    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        return 16 * self.rows * self.warps, 8 * self.columns

    def blocks(self, rows: int, columns: int) -> int:
        return -(-rows // self.shape[0]) * -(-columns // self.shape[1])


TILES = (Tile(4, 2, 8), Tile(4, 1, 8), Tile(2, 2, 8), Tile(2, 1, 8), Tile(2, 1, 4), Tile(1, 1, 8), Tile(1, 1, 4),
         Tile(1, 1, 2))


def choose(rows: int, columns: int) -> Tile:
    """The largest tile that leaves work for the whole GPU; of those that waste most columns none."""
    width = next((t for t in (2, 4, 8) if 8 * t >= columns), 8)
    fitting = [t for t in TILES if t.columns <= width]
    return next((t for t in fitting if t.blocks(rows, columns) >= BLOCKS), fitting[-1])


def padded(size: int, tile: int) -> int:
    return -(-size // tile) * tile


@dataclass(frozen=True)
class Problem:
    """rows, columns: sizes of the sums. depth, lanes: of k and v. x: the expression of one factor. w: the other factor's
    placeholder [columns of whole tiles, depth of whole MMA_DEPTH, lanes]. finish: (sum, row, column) to the stored value.
    into, at: where (row, column) is stored, as of te.compute."""

    rows: int
    columns: int
    depth: int
    lanes: int
    x: Callable[[Expr, Expr, Expr], Expr]
    w: Tensor
    finish: Callable[[Expr, Expr, Expr], Expr]
    into: Tensor
    at: Callable[[Expr, Expr], tuple[Expr, ...]]


def program(name: str, problem: Problem, tile: Tile, arguments: Callable[[], dict[str, Tensor]], output: str) -> LoopProgram:
    """The scheduled program. arguments: asked once `finish` was called; the output comes last, under the name `output`."""
    q, (tall, wide) = problem, tile.shape
    whole = {"p": padded(q.rows, tall), "c": padded(q.columns, wide)}
    k, v = te.reduce_axis("k", padded(q.depth * q.lanes, MMA_DEPTH) // q.lanes), te.reduce_axis("v", q.lanes)
    x = te.compute("x", {"p": whole["p"], "k": k.extent, "v": v.extent}, q.x, 0)
    sums = te.compute("sums", whole, lambda p, c: te.sum(
        x[p, k, v].astype("int32") * q.w[c, k, v].astype("int32"), [k, v]), 0)
    y = te.compute("y", whole, lambda p, c: q.finish(sums[p, c], p, c), 0, kept=(q.rows, q.columns), into=q.into, at=q.at)
    s = Schedule(y)
    w = s.cache_read(q.w, "shared", [sums])
    inner = _outputs(s[y], tile)
    depth = _sums(s[sums], s[y], inner, q.lanes)
    for copy in (x, w):
        s[copy].set_scope("shared")
        s[copy].compute_at(s[sums], depth)
        _bring(s[copy], tile.warps, q.lanes, (tall if copy is x else wide) * MMA_DEPTH // q.lanes)
    return lower(s, name, {**arguments(), output: y})


def _outputs(y: Stage, tile: Tile) -> Axis:
    """Blocks, warps and threads over the outputs; returns the innermost loop of threads."""
    p, c = y.leaves
    block_p, p = y.split(p, tile.shape[0])
    warp, p = y.split(p, 16 * tile.rows)
    group, p = y.split(p, 2 * tile.rows)
    block_c, c = y.split(c, tile.shape[1])
    lane, c = y.split(c, 2 * tile.columns)
    y.reorder(block_p, block_c, warp, group, lane, p, c)
    for axis, thread in ((block_p, "blockIdx.x"), (block_c, "blockIdx.y"), (warp, "threadIdx.z"), (group, "threadIdx.y"),
                         (lane, "threadIdx.x")):
        y.bind(axis, thread)
    y.unroll(p)
    y.vectorise(c)
    return lane


def _sums(sums: Stage, y: Stage, at: Axis, lanes: int) -> Axis:
    """A thread's sums in its registers, 2 x 2 by 2 x 2 of an mma; returns the loop whose turns take MMA_DEPTH products."""
    sums.set_scope("reg")
    sums.compute_at(y, at)
    p, c, k, v = sums.leaves
    depth, k = sums.split(k, MMA_DEPTH // lanes)
    rows, i = sums.split(p, 2)
    columns, j = sums.split(c, 2)
    sums.reorder(depth, rows, columns, i, j, k, v)
    sums.unroll(rows)
    sums.unroll(columns)
    sums.tensorize(i, "mma")
    return depth


def _bring(copy: Stage, warps: int, lanes: int, vectors: int):
    """All threads of the block copy a tile, a vector each at a time."""
    copy.set_pitch(copy.data_axes[0], PITCH)
    p, k, v = copy.leaves
    turn, one = copy.split(copy.fuse(p, k), min(LANES * GROUPS * warps, vectors))
    warp, one = copy.split(one, LANES * GROUPS)
    group, lane = copy.split(one, LANES)
    for axis, thread in ((warp, "threadIdx.z"), (group, "threadIdx.y"), (lane, "threadIdx.x")):
        copy.bind(axis, thread)
    copy.unroll(turn)
    copy.vectorise(v)
