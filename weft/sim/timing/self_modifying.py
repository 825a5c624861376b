"""Programs that store over their own micro-ops: their time cannot be told before they are run."""

import numpy as np

from weft.isa import Config, Module

from .state import MOVES


def stored_uops(insns: np.ndarray, config: Config) -> bool:
    """Whether a STORE's bytes of DRAM lie within those of a LOAD of UOP, from the first byte of each to its last.

    insns: INSTRUCTION [n].
    """
    moves = (insns["work"] == MOVES) & (insns["rows"] > 0)
    loads, stores = (insns[moves & mask] for mask in (insns["is_uop"] == 1, insns["module"] == Module.STORE))
    if not len(loads) or not len(stores):
        return False
    (load_from, load_to), (store_from, store_to) = _extent(loads), _extent(stores)
    order = np.argsort(store_from)
    furthest = np.maximum.accumulate(store_to[order])  # of all stores up to this one
    before = np.searchsorted(store_from[order], load_to)  # stores that begin before the load's end
    return bool((furthest[np.maximum(before - 1, 0)] > load_from)[before > 0].any())


def _extent(insns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first byte of each, and the one after its last."""
    size = (insns["rows"] - 1) * insns["stride"] + (insns["x_size"] << insns["element_bits"])
    return insns["address"], insns["address"] + size
