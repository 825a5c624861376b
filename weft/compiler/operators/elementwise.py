"""What `add` and `requantise` share: one value out for each value in, over tiles of channels and pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.isa import Config

from .. import te
from ..lower import lower
from ..schedule import Schedule
from ..stmt import LoopProgram
from ..te import Tensor
from . import cost
from .common import image, subject
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


def choose(subject_: str, axes: dict[str, int], config: Config, threads: int, sources: int, operations: int) -> Tile:
    """The tile for `sources` inputs that are held at once, and so many ALU operations.

    Raises
    ------
    WeftError: where the inputs of a single pixel do not fit.
    """
    sizes = cost.grid(n=cost.sizes(axes["n"], 4), c=cost.sizes(axes["c"], 16), p=cost.sizes(axes["p"], 24))
    total = axes["n"] * axes["c"] * axes["p"]
    best = None
    for count in dict.fromkeys((threads, 1)):
        for axis in ORDER if count > 1 else ("p",):
            def copies(t, axis=axis, count=count):
                return np.minimum(count, cost.tiles(axes[axis], t[axis]))

            def needs(t):
                return {"acc": sources * t["n"] * t["c"] * t["p"] * copies(t), "qnt": t["c"] * copies(t)}  # noqa: B023

            def cycles(t):
                turns = cost.tiles(axes["n"], t["n"]) * cost.tiles(axes["c"], t["c"]) * cost.tiles(axes["p"], t["p"])
                bytes_, pieces = total * config.out_bytes, turns * t["n"]
                load = cost.transfer(config, bytes_ * sources, pieces * t["c"] * sources, pieces * sources)
                qnt = cost.transfer(config, axes["c"] * config.qnt_bytes, 0, turns)
                compute = load + qnt + cost.steps(total * operations, turns * operations)
                store = cost.transfer(config, bytes_, pieces * t["c"], pieces)
                return cost.total(cost.Work(0, compute, store, turns), copies(t) > 1)  # noqa: B023

            found = cost.pick(config, needs, sizes, cycles)
            if found and (best is None or found[1] < best[1]):
                best = Tile(**found[0], threads=count, thread_axis=axis), found[1]
        if best:
            return best[0]
    raise cost.no_tile(subject_, config, {"acc": sources, "qnt": 1})


def schedule(y: Tensor, qnt: Tensor, reads: Sequence[tuple[Tensor, Tensor]], tile: Tile) -> Schedule:
    """Loads, ALU operations and a store for each tile. reads: each input with the tensor that reads it."""
    s = Schedule(y)
    between = [stage.tensor for stage in s.stages[:-1]]
    quantised = s.cache_write(y, "acc")
    copies = [s.cache_read(x, "acc", [quantised if reader is y else reader]) for x, reader in reads]
    parameters = s.cache_read(qnt, "qnt", [quantised])
    over = cut(s[y], {name: getattr(tile, name) for name in ORDER}, ORDER, tile.threads, tile.thread_axis)
    for tensor in (quantised, *between, *copies):
        s[tensor].set_scope("acc")
        s[tensor].compute_at(s[y], over["p"])
    s[parameters].compute_at(s[y], over["c"])
    mark(s, {parameters: "load", y: "store", **dict.fromkeys(copies, "load"), **dict.fromkeys((quantised, *between), "alu")})
    return s


def program(node, graph, config: Config, threads: int, inputs: dict[str, Tensor], qnt: Tensor, y: Tensor, reads) -> LoopProgram:
    """The loop program of a definition; `inputs` by their tensors' names."""
    operations = len([stage for stage in Schedule(y).stages])
    tile = choose(subject(node), axes_of(node.outputs[0], graph, config), config, threads, len(reads), operations)
    return lower(schedule(y, qnt, reads, tile), node.name, {**inputs, node.inputs[-1]: qnt, node.outputs[0]: y})
