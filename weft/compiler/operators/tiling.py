"""The part that all schedule templates share: cutting an output in tiles and threads."""

from collections.abc import Mapping, Sequence

from ..schedule import Schedule, Stage
from ..te import Axis, Tensor


def cut(stage: Stage, sizes: Mapping[str, int], order: Sequence[str], threads: int, thread_axis: str) -> dict[str, Axis]:
    """Splits the named axes in tiles and orders the loops: over tiles as in `order`, then within a tile, then the element's.

    The tiles along `thread_axis` are dealt out to virtual threads. Returns for each name the innermost loop over its tiles.
    """
    named = {axis.name: axis for axis in stage.leaves}
    element = [axis for axis in stage.leaves if axis.name not in sizes]
    pairs = {name: stage.split(named[name], sizes[name]) for name in named if name in sizes}
    over = {name: [outer] for name, (outer, _) in pairs.items()}
    if threads > 1:
        over[thread_axis] = list(stage.split(over[thread_axis][0], threads))
        stage.vthread(over[thread_axis][1])
    stage.reorder(*(axis for name in order for axis in over[name]), *(inner for _, inner in pairs.values()), *element)
    return {name: axes[-1] for name, axes in over.items()}


def mark(schedule: Schedule, marks: Mapping[Tensor, str]):
    """Tensorizes the element's loops of stages whose loops are not changed but for their order."""
    for tensor, name in marks.items():
        stage = schedule[tensor]
        if tensor.element_rank:  # an element without axes has no loop to mark
            stage.tensorize(stage.data_axes[len(stage.data_axes) - tensor.element_rank], name)
