"""What `max_pool` and `avg_pool` share: a reduction over windows of one channel, by the ALU."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.isa import Config

from ..lower import lower
from ..schedule import Schedule
from ..stmt import LoopProgram
from ..te import Tensor
from . import cost
from .common import Window, Windowed, image, subject
from .tiling import cut, mark

ORDER = ("n", "c", "oh", "ow")


@dataclass(frozen=True, kw_only=True)
class Shape(Windowed):
    """A pooling: c counts blocks of channels."""

    c: int


@dataclass(frozen=True)
class Tile:
    """Sizes of a tile of output along each axis, and of the part of the window that is loaded at once."""

    n: int
    c: int
    oh: int
    ow: int
    kh: int
    kw: int
    threads: int = 1
    thread_axis: str = "oh"


def shape_of(node, graph, config: Config) -> Shape:
    """The pooling that a node is. WeftError for padding that the machine cannot do."""
    n, c, h, w = image(graph.tensors[node.inputs[0]].shape, config)
    oh, ow = image(graph.tensors[node.outputs[0]].shape, config)[2:]
    window = Window(*node.attrs["kernel"], tuple(node.attrs["strides"]), tuple(node.attrs["pads"]),
                    tuple(node.attrs.get("dilations", (1, 1))))
    return Shape(n=n, c=c, h=h, w=w, oh=oh, ow=ow, window=window)


@dataclass(frozen=True)
class Plan:
    """Needs and cycles of tiles n, c, oh, ow, kh, kw, for so many operations on each output but for the window's."""

    s: Shape
    config: Config
    operations: int
    quantised: bool
    axis: str
    threads: int

    def _copies(self, t: cost.Sizes) -> np.ndarray:
        return np.minimum(self.threads, cost.tiles(getattr(self.s, self.axis), t[self.axis]))

    def _input(self, t: cost.Sizes) -> tuple[np.ndarray, np.ndarray]:
        """Elements of input of a tile, and rows of them."""
        window = self.s.window
        rows = (t["oh"] - 1) * window.row_step + (t["kh"] - 1) * window.dilations[0] + 1
        columns = (t["ow"] - 1) * window.strides[1] + (t["kw"] - 1) * window.dilations[1] + 1
        return t["n"] * t["c"] * rows * columns, t["n"] * t["c"] * rows

    def needs(self, t: cost.Sizes) -> dict[str, np.ndarray]:
        return {"acc": (self._input(t)[0] + t["n"] * t["c"] * t["oh"] * t["ow"]) * self._copies(t),
                "qnt": t["c"] * self._copies(t) * self.quantised,
                "uop": cost.micro_ops(t["n"], t["c"], t["oh"], t["ow"], t["kh"], t["kw"])}

    def cycles(self, t: cost.Sizes) -> np.ndarray:
        s, config = self.s, self.config
        turns = np.prod([cost.tiles(getattr(s, axis), t[axis]) for axis in ORDER], axis=0)
        parts = cost.tiles(s.window.kh, t["kh"]) * cost.tiles(s.window.kw, t["kw"]) * turns
        elements, rows = self._input(t)
        outputs = s.n * s.c * s.oh * s.ow
        load = cost.transfer(config, parts * elements * config.out_bytes, parts * rows, parts * t["n"] * t["c"])
        qnt = cost.transfer(config, config.qnt_bytes * t["c"], 0, 1) * turns * self.quantised
        alu = cost.steps(outputs * s.window.kh * s.window.kw, parts) + cost.steps(outputs, turns) * self.operations
        store = cost.transfer(config, outputs * config.out_bytes, np.where(t["ow"] == s.ow, turns, turns * t["oh"]) * t["c"],
                              np.where(t["ow"] == s.ow, turns, turns * t["c"]) * t["n"])
        return cost.total(cost.Work(0, load + qnt + alu, store, turns), getattr(s, self.axis), t[self.axis], self.threads)


@cost.remembered
def choose(subject_: str, s: Shape, config: Config, threads: int, operations: int, quantised: bool) -> Tile:
    """The tile of the fewest estimated cycles, for so many operations on each output but for the window's."""
    candidates = cost.grid(n=cost.sizes(s.n, 2), c=cost.sizes(s.c, 8), oh=cost.sizes(s.oh, 12), ow=cost.sizes(s.ow, 6),
                           kh=cost.sizes(s.window.kh, 4), kw=cost.sizes(s.window.kw, 4))
    groups = [[Plan(s, config, operations, quantised, axis, count) for axis in (ORDER if count > 1 else ("oh",))]
              for count in dict.fromkeys((threads, 1))]
    plan, sizes = cost.choose(subject_, config, groups, candidates)
    return Tile(**sizes, threads=plan.threads, thread_axis=plan.axis)


def schedule(y: Tensor, padded: Tensor, pooled: Tensor, qnt: Tensor | None, tile: Tile) -> Schedule:
    """A load, a reduction by the ALU, and what follows it, for each tile."""
    s = Schedule(y)
    after = [stage.tensor for stage in s.stages[:-1] if stage.tensor not in (padded, pooled)]
    after.append(s.cache_write(y, "acc"))
    over = cut(s[y], {name: getattr(tile, name) for name in ORDER}, ORDER, tile.threads, tile.thread_axis)
    for tensor in (*after, pooled):
        s[tensor].set_scope("acc")
        s[tensor].compute_at(s[y], over["ow"])
    kh, kw = s[pooled].reduce_axes
    (kh_outer, kh_inner), (kw_outer, kw_inner) = s[pooled].split(kh, tile.kh), s[pooled].split(kw, tile.kw)
    n, c, oh, ow, nb, cb = s[pooled].data_axes
    s[pooled].reorder(kh_outer, kw_outer, kh_inner, kw_inner, n, c, oh, ow, nb, cb)
    s[padded].set_scope("acc")
    s[padded].compute_at(s[pooled], kw_outer)
    marks = {padded: "load", pooled: "alu", y: "store", **dict.fromkeys(after, "alu")}
    if qnt is not None:
        parameters = s.cache_read(qnt, "qnt", [after[-1]])
        s[parameters].compute_at(s[y], over["c"])
        marks[parameters] = "load"
    mark(s, marks)
    return s


def program(node, graph, config: Config, threads: int, s: Shape, x: Tensor, padded: Tensor, pooled: Tensor, y: Tensor,
            qnt: Tensor | None = None) -> LoopProgram:
    """The loop program of a definition."""
    operations = len(Schedule(y).stages)  # the pad stands for the reset
    tile = choose(subject(node), s, config, threads, operations, qnt is not None)
    arguments = dict(zip((*node.inputs, *node.outputs), (x, y) if qnt is None else (x, qnt, y)))
    return lower(schedule(y, padded, pooled, qnt, tile), node.name, arguments)


def output_axes(s: Shape, config: Config) -> dict[str, int]:
    return {"n": s.n, "c": s.c, "oh": s.oh, "ow": s.ow, "nb": config.batch, "cb": config.block_out}


def input_axes(s: Shape, config: Config) -> dict[str, int]:
    return {"n": s.n, "c": s.c, "h": s.h, "w": s.w, "nb": config.batch, "cb": config.block_out}


def place(padded: Tensor, window: Window, out: Sequence, kh, kw):
    """What an output sees at one place of its window."""
    n, c, oh, ow, nb, cb = out
    return padded[n, c, *window.at(oh, ow, kh, kw), nb, cb]
