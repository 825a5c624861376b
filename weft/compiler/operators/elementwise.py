"""What `add`, `mul`, `requantise` and `lut` share: one value out for each value in, over tiles of channels and pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weft.isa import Config

from ..lower import lower
from ..schedule import Schedule
from ..stmt import LoopProgram
from ..te import Tensor
from . import cost
from .common import Ending, image, subject
from .tiling import cut, mark

ORDER = ("n", "c", "p")


@dataclass(frozen=True)
class Tile:
    """Blocks of batch and channels, and pixels, of a tile; threads divide the tiles along `thread_axis`."""

    n: int
    c: int
    p: int
    threads: int = 1
    thread_axis: str = "p"


def axes_of(name: str, graph, config: Config) -> dict[str, int]:
    """The axes of an activation with its pixels as one: rows lie one after the other."""
    n, c, h, w = image(graph.tensors[name].shape, config)
    return {"n": n, "c": c, "p": h * w, "nb": config.batch, "cb": config.block_out}


@dataclass(frozen=True)
class Plan:
    """Needs and cycles of tiles n, c, p for `sources` inputs that are held at once, and so many ALU operations."""

    axes: Mapping[str, int]
    config: Config
    sources: int
    operations: int
    thread_axis: str
    threads: int

    def needs(self, t: cost.Sizes) -> dict[str, np.ndarray]:
        copies = np.minimum(self.threads, cost.tiles(self.axes[self.thread_axis], t[self.thread_axis]))
        return {"acc": self.sources * t["n"] * t["c"] * t["p"] * copies, "qnt": t["c"] * copies, "lut": 1}

    def cycles(self, t: cost.Sizes) -> np.ndarray:
        config, axes = self.config, self.axes
        turns = np.prod([cost.tiles(axes[axis], t[axis]) for axis in ORDER], axis=0)
        elements, pieces = axes["n"] * axes["c"] * axes["p"], turns * t["n"]
        load = cost.transfer(config, elements * config.out_bytes, pieces * t["c"], pieces) * self.sources
        parameters = cost.transfer(config, axes["c"] * config.qnt_bytes, 0, cost.tiles(axes["c"], t["c"]))
        compute = load + parameters + cost.steps(elements * self.operations, turns * self.operations)
        store = cost.transfer(config, elements * config.out_bytes, pieces * t["c"], pieces)
        return cost.total(cost.Work(0, compute, store, turns), axes[self.thread_axis], t[self.thread_axis], self.threads)


@cost.remembered
def choose(subject_: str, axes: Mapping[str, int], config: Config, threads: int, sources: int, operations: int) -> Tile:
    """The tile of the fewest estimated cycles."""
    candidates = cost.grid(n=cost.sizes(axes["n"], 4), c=cost.sizes(axes["c"], 16), p=cost.sizes(axes["p"], 24))
    groups = [[Plan(axes, config, sources, operations, axis, count) for axis in (ORDER if count > 1 else ("p",))]
              for count in dict.fromkeys((threads, 1))]
    plan, sizes = cost.choose(subject_, config, groups, candidates)
    return Tile(**sizes, threads=plan.threads, thread_axis=plan.thread_axis)


def schedule(end: Ending, reads: Sequence[tuple[Tensor, Tensor | None]], tile: Tile) -> Schedule:
    """Loads, ALU operations and a store for each tile. reads: each input with the tensor that reads it, None for the
    ending."""
    s, y = Schedule(end.y), end.y
    between = [stage.tensor for stage in s.stages if stage.tensor not in (y, end.quantised)]
    end.into_scratchpads(s)
    copies = [s.cache_read(x, "acc", [reader or end.stages[-1]]) for x, reader in reads]
    over = cut(s[y], {name: getattr(tile, name) for name in ORDER}, ORDER, tile.threads, tile.thread_axis)
    for tensor in (*end.stages, *between, *copies):
        s[tensor].set_scope("acc")
        s[tensor].compute_at(s[y], over["p"])
    end.load_at(s, over["c"])
    mark(s, {y: "store", **dict.fromkeys(copies, "load"), **dict.fromkeys(between, "alu"), **end.marks})
    return s


def program(node, graph, config: Config, threads: int, inputs: dict[str, Tensor], end: Ending, reads) -> LoopProgram:
    """The loop program of a definition; `inputs` by their tensors' names."""
    operations = len(Schedule(end.y).stages)
    tile = choose(subject(node), axes_of(node.outputs[0], graph, config), config, threads, len(reads), operations)
    parameters = dict(zip(node.inputs[len(node.inputs) - len(end.parameters):], end.parameters))
    return lower(schedule(end, reads, tile), node.name, {**inputs, **parameters, node.outputs[0]: end.y})
