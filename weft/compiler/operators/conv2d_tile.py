"""The tile of a convolution: what fits, and of that what is estimated to take the fewest cycles."""

import itertools
from dataclasses import dataclass

import numpy as np

from weft.isa import Config, WeftError

from . import cost
from .common import Windowed

OUTER = {"weights": ("g", "co"), "inputs": ("n", "oh", "ow", "g")}  # loops over tiles in which the held tensor stays
INNER = {"weights": ("n", "oh", "ow"), "inputs": ("co",)}
THREAD_AXES = ("oh", "co", "ow", "n", "g")
BEFORE = 0.3  # of what is held first, the part that no layer before hides
SPACE = ("n", "g", "co", "oh", "ow")


@dataclass(frozen=True, kw_only=True)
class Shape(Windowed):
    """A convolution: ci, co count blocks of one of g groups. The kernel is the sum of `parts` kernels of int8. factors: of
    conv2d_add, of what it adds up, else None."""

    ci: int
    co: int
    pad_value: int
    batch: int
    block: int
    g: int = 1
    table: bool = False
    parts: int = 1
    factors: tuple[int, int] | None = None

    @property
    def operations(self) -> int:
        """ALU operations on each output, the reset included."""
        return 2 + self.table + (0 if self.factors is None else 2 + sum(factor != 1 for factor in self.factors))

    @property
    def taps(self) -> int:
        """Multiplications for each value of input under the kernel."""
        return self.parts * self.window.kh * self.window.kw


@dataclass(frozen=True)
class Tile:
    """How a convolution is cut.

    n, co, oh, ow, ci, g: elements of a tile along each axis, of g groups. kh, kw: of the kernel at a time, None for all of it.
    order: what stays while the inner tile loop runs: 'weights' (output channels are the outer loop) or 'inputs'.
    hold: whether that tensor is loaded for all input channels in the outer loop; else each turn loads its own.
    threads: virtual threads; they divide the tiles along `thread_axis`, one of THREAD_AXES.
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
    g: int = 1
    kh: int | None = None
    kw: int | None = None


@cost.remembered
def choose(subject: str, s: Shape, config: Config, threads: int) -> Tile:
    """The best tile by the estimate. A kernel is cut only where nothing fits with all of it.

    Raises
    ------
    WeftError: where not even a tile of one element along every axis fits, with one thread.
    """
    sizes = {"n": cost.sizes(s.n, 4), "co": cost.sizes(s.co, 12), "oh": cost.sizes(s.oh, 16), "ow": cost.sizes(s.ow, 6),
             "ci": cost.sizes(s.ci, 12), "g": cost.sizes(s.g, 8)}
    whole = {"kh": np.array([s.window.kh]), "kw": np.array([s.window.kw])}
    cut = {"kh": cost.sizes(s.window.kh, 6), "kw": cost.sizes(s.window.kw, 6)}
    try:
        return _best(subject, s, config, threads, cost.grid(**sizes, **whole), (False, True))
    except WeftError:
        sizes |= {axis: cost.sizes(getattr(s, axis), 4) for axis in sizes}
        return _best(subject, s, config, threads, cost.grid(**sizes, **cut), (False,))


def _best(subject: str, s: Shape, config: Config, threads: int, candidates: cost.Sizes, holds: tuple[bool, ...]) -> Tile:
    groups = [[Plan(s, config, order, hold, axis, count) for count in counts
               for order, hold, axis in itertools.product(OUTER, holds, THREAD_AXES if count > 1 else ("oh",))]
              for counts in cost.numbers_of_threads(threads, few=s.factors is not None)]
    plan, sizes = cost.choose(subject, config, groups, candidates)
    return Tile(**sizes, order=plan.order, hold=plan.hold, threads=plan.threads, thread_axis=plan.axis)


def estimate(s: Shape, config: Config, tile: Tile) -> float:
    """Cycles of a convolution with this tile, roughly."""
    plan = Plan(s, config, tile.order, tile.hold, tile.thread_axis, tile.threads)
    kernel = {"kh": tile.kh or s.window.kh, "kw": tile.kw or s.window.kw}
    return cost.estimate(plan, {axis: getattr(tile, axis) for axis in (*SPACE, "ci")} | kernel)


@dataclass(frozen=True)
class Plan:
    """Needs and cycles of tiles for one order of loops. Tiles are given as arrays n, co, oh, ow, ci, g, kh, kw."""

    s: Shape
    config: Config
    order: str
    hold: bool
    axis: str
    threads: int

    def _copies(self, t: cost.Sizes, outer: bool):
        """How often a buffer stands there: once for each thread, or once if it is outside of the threads' loop."""
        thread_outside = self.axis in OUTER[self.order]
        copies = np.minimum(self.threads, self._counts(t)[self.axis])
        return 1 if outer and not thread_outside else copies

    def _counts(self, t: cost.Sizes):
        return {axis: cost.tiles(getattr(self.s, axis), t[axis]) for axis in (*SPACE, "ci")}

    def _seen(self, t: cost.Sizes) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of input of a tile, under so much of the kernel."""
        window = self.s.window
        return ((t["oh"] - 1) * window.row_step + (t["kh"] - 1) * window.dilations[0] + 1,
                (t["ow"] - 1) * window.strides[1] + (t["kw"] - 1) * window.dilations[1] + 1)

    def _turns_of_kernel(self, t: cost.Sizes) -> np.ndarray:
        return cost.tiles(self.s.window.kh, t["kh"]) * cost.tiles(self.s.window.kw, t["kw"])

    def needs(self, t: cost.Sizes) -> dict[str, np.ndarray]:
        s = self.s
        rows, columns = self._seen(t)
        taps = ((s.parts - 1) * s.window.kh + t["kh"]) * t["kw"]  # the parts of a kernel lie one below the other
        hold_w, hold_x = (self.hold and self.order == held for held in OUTER)
        return {
            "inp": t["n"] * t["g"] * rows * columns * (s.ci if hold_x else t["ci"]) * self._copies(t, hold_x),
            "wgt": t["g"] * t["co"] * taps * (s.ci if hold_w else t["ci"]) * self._copies(t, hold_w),
            "acc": t["n"] * t["g"] * t["co"] * t["oh"] * t["ow"] * self._copies(t, False) * (1 if s.factors is None else 2),
            "qnt": t["g"] * t["co"] * self._copies(t, self.order == "weights") * (1 if s.factors is None else 2),
            "uop": cost.micro_ops(t["ci"], s.parts, t["kh"], t["kw"], t["n"], t["g"], t["co"], t["oh"], t["ow"]),
        }

    def cycles(self, t: cost.Sizes) -> np.ndarray:
        s, config, count = self.s, self.config, self._counts(t)
        turns = count["n"] * count["g"] * count["co"] * count["oh"] * count["ow"]
        outputs = s.n * s.g * s.co * s.oh * s.ow
        again = self._turns_of_kernel(t)
        load_x, load_w = self._load_inputs(t, count) * again, self._load_weights(t, count)
        compute = cost.steps(outputs * s.ci * s.taps, turns * count["ci"] * again)
        alu = s.operations * cost.steps(outputs, turns) + self._load_parameters(count)
        whole = t["ow"] == s.ow  # rows of a tile lie one after the other
        rows = np.where(whole, outputs // (s.oh * s.ow) * count["oh"], outputs // s.ow * count["ow"])
        stores = turns * t["n"] * np.where(whole, 1, t["g"] * t["co"])
        store = cost.transfer(config, outputs * config.out_bytes, rows, stores)
        if s.factors is not None:
            alu = alu + cost.transfer(config, outputs * config.out_bytes, rows, stores)
        alone = self._exposed({"weights": load_w, "inputs": load_x}[self.order], compute / (turns * count["ci"] * again), count)
        last = outputs * s.taps * (s.ci - (count["ci"] - 1) * t["ci"]) / again  # products beside which the other thread's tile ends
        exposed = cost.exposed(compute, last, alu, store, turns * cost.ENDING, self.threads)
        work = cost.Work(load_x + load_w - alone, compute, store, turns * count["ci"], alone + exposed, alu)
        return cost.total(work, getattr(s, self.axis), t[self.axis], self.threads)

    def _exposed(self, held, step, count: cost.Sizes):
        """Cycles of loading what is held that no other thread's step hides: threads come to the end of a turn together."""
        if not self.hold:
            return 0.0
        loads = np.prod([count[axis] for axis in OUTER[self.order]], axis=0)
        hidden = step if self.threads > 1 and self.axis in OUTER[self.order] else 0.0
        return np.maximum(held - loads * hidden, BEFORE * held / loads)

    def _load_parameters(self, count: cost.Sizes) -> np.ndarray:
        again = 1 if self.order == "weights" else count["n"] * count["oh"] * count["ow"]
        bytes_ = self.s.g * self.s.co * self.config.qnt_bytes
        return cost.transfer(self.config, bytes_, 0, count["g"] * count["co"]) * again

    def _load_inputs(self, t: cost.Sizes, count: cost.Sizes) -> np.ndarray:
        """Cycles of all loads of inputs; what padding gives is not read."""
        s, window = self.s, self.s.window
        again = 1 if self.order == "inputs" and self.hold else count["co"]
        rows, columns = self._seen(t)
        read_rows = np.minimum(rows * count["oh"], s.h + (rows - window.strides[0]).clip(0) * (count["oh"] - 1))
        read_columns = np.minimum(columns * count["ow"], s.w + (columns - window.strides[1]).clip(0) * (count["ow"] - 1))
        plain = (columns == s.w) & (not any(window.pads)) & (window.row_skip == 1)  # channels are rows of one transfer
        blocks = s.n * s.g * s.ci
        pieces = count["oh"] * count["ow"] * np.where(plain, s.n * count["g"] * count["ci"], blocks)
        transfer_rows = np.where(plain, blocks * count["oh"], blocks * read_rows * count["ow"])
        bytes_ = blocks * read_rows * read_columns * self.config.inp_bytes
        return cost.transfer(self.config, bytes_, transfer_rows, pieces) * again

    def _load_weights(self, t: cost.Sizes, count: cost.Sizes) -> np.ndarray:
        s, hold = self.s, self.order == "weights" and self.hold
        again = 1 if hold else count["n"] * count["oh"] * count["ow"]
        pieces = 1 if hold else count["ci"]
        bytes_ = s.g * s.co * s.ci * s.taps * self.config.wgt_bytes
        return cost.transfer(self.config, bytes_, s.g * s.co * pieces, count["g"] * count["co"] * pieces) * again
