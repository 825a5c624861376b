"""Rows of an output that are made alike: every `step`-th one, from windows of the input that lie `stride` apart.

A transposed convolution, a resizing and an average without its padding are, along one axis, a few of such runs each; along
two axes they are the pieces that pairs of runs give.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from ...graph import Graph, Node
from .common import NotInteger

MOST = 64  # pieces of an output: each has parameters and instructions of its own


@dataclass(frozen=True)
class Run:
    """Outputs first, first + step, ... (count of them) come from the rows start, start + stride, ... of the input and those
    after each of them. taps: what of the kernel meets each of these rows, the same for all outputs of the run."""

    first: int
    step: int
    count: int
    start: int
    stride: int
    taps: tuple[Hashable, ...]

    @property
    def places(self) -> tuple[int, int, int]:
        return self.first, self.step, self.count

    def pads(self, size: int) -> tuple[int, int]:
        """Padding before and after an axis of `size`, negative where rows are left out, for which a window of so many taps
        that moves by the stride gives exactly the run's outputs."""
        return -self.start, self.start + self.stride * (self.count - 1) + len(self.taps) - size


def runs(windows: Sequence[tuple[int, tuple]], period: int) -> list[Run]:
    """The runs of an axis: for each output the first row of the input that it sees and its taps; every period-th output may
    go together."""
    found = []
    for phase in range(min(period, len(windows))):
        rest = list(range(phase, len(windows), period))
        while rest:
            count = _alike([windows[o] for o in rest])
            start, taps = windows[rest[0]]
            stride = windows[rest[1]][0] - start if count > 1 else 1
            found.append(Run(rest[0], period if count > 1 else 1, count, start, stride, taps))
            rest = rest[count:]
    return found


def _alike(windows: list[tuple[int, tuple]]) -> int:
    """How many of these, from the first one, have the same taps and lie equally far apart, in rising order."""
    if len(windows) < 2 or windows[0][1] != windows[1][1] or windows[1][0] <= windows[0][0]:
        return 1
    stride = windows[1][0] - windows[0][0]
    count = 2
    while count < len(windows) and windows[count] == (windows[0][0] + count * stride, windows[0][1]):
        count += 1
    return count


def transposed(size: int, out: int, kernel: int, stride: int, before: int) -> list[Run]:
    """The runs of a transposed convolution's axis: one for each remainder by the stride. Taps are rows of its kernel."""
    found = []
    for first in range(min(stride, out)):
        ahead, remainder = divmod(first + before, stride)
        # the row of the input that comes first has been under way longest
        taps = tuple(range(remainder, kernel, stride))[::-1]
        count = -(-(out - first) // stride)
        found.append(Run(first, stride if count > 1 else 1, count, ahead - max(len(taps) - 1, 0), 1, taps or (None,)))
    return found


def add_pieces(graph: Graph, node: Node, op: str, shape: tuple[int, ...], axes: tuple[list[Run], list[Run]],
               piece: Callable[[Run, Run], tuple[list[str], dict]], attrs: dict, output: str) -> None:
    """A `pieces` node with one for each pair of runs of rows and columns of an input [N, C, H, W] of that shape; a node of
    the pieces' operator itself where there is one alone that is all of the output. NotInteger where there are more than
    MOST.

    piece: gives the names of a pair's parameters and what its operator's attributes are beside strides and pads.
    """
    if len(axes[0]) * len(axes[1]) > MOST:
        raise NotInteger(f"it takes {len(axes[0]) * len(axes[1])} pieces that differ, more than {MOST}")
    parameters: list[str] = []
    made = []
    for rows, columns in _pairs(axes):
        names, own = piece(rows, columns)
        parameters += [name for name in names if name not in parameters]
        (top, bottom), (left, right) = rows.pads(shape[2]), columns.pads(shape[3])
        own = {"strides": (rows.stride, columns.stride), "pads": (top, left, bottom, right)} | own
        made.append({"rows": rows.places, "columns": columns.places,
                     "inputs": tuple(parameters.index(name) for name in names),
                     "attrs": own})
    if len(made) == 1 and made[0]["rows"][:2] == made[0]["columns"][:2] == (0, 1):
        own = made[0]["attrs"]
        if attrs:
            own = own | {"macs_per_output": attrs["macs"] // math.prod(graph.tensors[output].shape)}
        graph.nodes.append(Node(node.name, op, [node.inputs[0], *parameters], [output], own))
        return
    attrs = {"op": op, "shape": graph.tensors[output].shape, "pieces": tuple(made)} | attrs
    graph.nodes.append(Node(node.name, "pieces", [node.inputs[0], *parameters], [output], attrs))


def _pairs(axes: tuple[list[Run], list[Run]]) -> Iterator[tuple[Run, Run]]:
    for rows in axes[0]:
        for columns in axes[1]:
            yield rows, columns
