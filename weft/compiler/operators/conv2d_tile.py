"""The tile of a convolution: what fits, and of that what is estimated to take the fewest cycles."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weft.isa import Config

from . import cost
from .common import Window

ORDERS = ("weights", "inputs")
THREAD_AXES = ("oh", "co", "ow", "n")


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
    window: Window
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


def choose(subject: str, s: Shape, config: Config, threads: int) -> Tile:
    """The best tile by the estimate.

    Raises
    ------
    WeftError: where not even a tile of one element along every axis fits, with one thread.
    """
    best = None
    for count in dict.fromkeys((threads, 1)):
        for order, hold, axis in itertools.product(ORDERS, (False, True), THREAD_AXES if count > 1 else ("oh",)):
            how = _How(s, config, order, hold, axis, count)
            found = cost.pick(config, how.needs, _candidates(s, hold), how.cycles)
            if found and (best is None or found[1] < best[1]):
                best = Tile(**found[0], order=order, hold=hold, threads=count, thread_axis=axis), found[1]
        if best:
            return best[0]
    one = {axis: np.array([1]) for axis in ("n", "co", "oh", "ow", "ci")}
    needs = _How(s, config, "weights", False, "oh", 1).needs(one)
    raise cost.no_tile(subject, config, {scope: int(need[0]) for scope, need in needs.items()})


def estimate(s: Shape, config: Config, tile: Tile) -> float:
    """Cycles of a convolution with this tile, roughly."""
    t = {axis: np.array([getattr(tile, axis)]) for axis in ("n", "co", "oh", "ow", "ci")}
    return float(_How(s, config, tile.order, tile.hold, tile.thread_axis, tile.threads).cycles(t)[0])


def _candidates(s: Shape, hold: bool) -> dict[str, np.ndarray]:
    return cost.grid(n=cost.sizes(s.n, 4), co=cost.sizes(s.co, 12), oh=cost.sizes(s.oh, 16), ow=cost.sizes(s.ow, 6),
                     ci=cost.sizes(s.ci, 12))


class _How:
    """Needs and cycles of tiles for one order of loops. Tiles are given as arrays n, co, oh, ow, ci."""

    def __init__(self, s: Shape, config: Config, order: str, hold: bool, axis: str, threads: int):
        self.s, self.config, self.order, self.hold, self.axis, self.threads = s, config, order, hold, axis, threads

    def _copies(self, t: Mapping, outer: bool):
        """How often a buffer stands there: once for each thread, or once if it is outside of the threads' loop."""
        thread_outside = (self.axis == "co") == (self.order == "weights")
        copies = np.minimum(self.threads, self._counts(t)[self.axis])
        return 1 if outer and not thread_outside else copies

    def _counts(self, t: Mapping):
        return {axis: cost.tiles(getattr(self.s, axis), t[axis]) for axis in ("n", "co", "oh", "ow", "ci")}

    def needs(self, t: Mapping) -> dict[str, np.ndarray]:
        s = self.s
        rows, columns = s.window.rows(t["oh"]), s.window.columns(t["ow"])
        hold_w, hold_x = (self.hold and self.order == held for held in ORDERS)
        return {
            "inp": t["n"] * rows * columns * (s.ci if hold_x else t["ci"]) * self._copies(t, hold_x),
            "wgt": t["co"] * s.window.kh * s.window.kw * (s.ci if hold_w else t["ci"]) * self._copies(t, hold_w),
            "acc": t["n"] * t["co"] * t["oh"] * t["ow"] * self._copies(t, False),
            "qnt": t["co"] * self._copies(t, self.order == "weights"),
            "uop": cost.micro_ops(t["ci"], s.window.kh, s.window.kw, t["n"], t["co"], t["oh"], t["ow"]),
        }

    def cycles(self, t: Mapping) -> np.ndarray:
        s, config, count = self.s, self.config, self._counts(t)
        space = count["n"] * count["oh"] * count["ow"]
        turns = space * count["co"]
        steps = s.n * s.co * s.oh * s.ow
        load_x, load_w = self._load_inputs(t, count), self._load_weights(t, count)
        parameters = cost.transfer(config, config.qnt_bytes * s.co, 0, count["co"]) * (1 if self.order == "weights" else space)
        compute = (cost.steps(steps * s.ci * s.window.kh * s.window.kw, turns * count["ci"]) + cost.steps(steps, turns) * 2 + parameters)
        store_rows = np.where(t["ow"] == s.ow, s.n * s.co * count["oh"], s.n * s.co * s.oh * count["ow"])
        store_instructions = np.where(t["ow"] == s.ow, turns * t["n"], turns * t["n"] * t["co"])
        store = cost.transfer(config, steps * config.out_bytes, store_rows, store_instructions)
        overlap = self._copies(t, False) > 1
        held = {"weights": load_w, "inputs": load_x}[self.order]
        alone = held if self.hold and isinstance(self._copies(t, True), int) else 0.0
        return cost.total(cost.Work(load_x + load_w - alone, compute, store, turns * count["ci"], alone), overlap)

    def _load_inputs(self, t: Mapping, count: Mapping) -> np.ndarray:
        """Cycles of all loads of inputs; what padding gives is not read."""
        s, config = self.s, self.config
        rows, columns = s.window.rows(t["oh"]), s.window.columns(t["ow"])
        again = 1 if self.order == "inputs" and self.hold else count["co"]
        read_rows = np.minimum(rows * count["oh"], s.h + (rows - s.window.strides[0]).clip(0) * (count["oh"] - 1))
        read_columns = np.minimum(columns * count["ow"], s.w + (columns - s.window.strides[1]).clip(0) * (count["ow"] - 1))
        plain = (count["ow"] == 1) & (not any(s.window.pads)) & (columns == s.w) & (s.window.kh > 1 or s.window.strides[0] == 1)
        blocks = s.n * s.ci
        bytes_ = blocks * read_rows * read_columns * config.inp_bytes
        requests = count["oh"] * count["ow"] * np.where(plain, s.n * count["ci"], blocks)
        transfer_rows = np.where(plain, blocks * count["oh"], blocks * read_rows * count["ow"])
        return cost.transfer(config, bytes_, transfer_rows, requests) * again

    def _load_weights(self, t: Mapping, count: Mapping) -> np.ndarray:
        s, config = self.s, self.config
        again = 1 if self.order == "weights" and self.hold else count["n"] * count["oh"] * count["ow"]
        pieces = 1 if self.order == "weights" and self.hold else count["ci"]
        bytes_ = s.co * s.ci * s.window.kh * s.window.kw * config.wgt_bytes
        return cost.transfer(config, bytes_, s.co * pieces, count["co"] * pieces) * again
