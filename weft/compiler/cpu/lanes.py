"""Requantisation as kernels of points have it: the parameters of channels as arrays, and what follows sums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from weft.isa.quantise import unpack_lanes

from ..expr import Const, Expr, call
from ..graph import Graph, Node
from .layout import BIAS
from .points import Table, constant_table

PARAMETERS = ("zero_point", "minimum", "maximum")
LARGEST = 2 ** 30  # beyond what any zero point brings back into the range of int8


@dataclass(frozen=True)
class Lanes:
    """The lanes of a node with axis 1 of `rank` axes as their channels.

    arrays: constants that the kernel reads (bias int32, scale float64; then of zero point, minimum and maximum those that
    are not the same for all channels, int32), each of a shape that broadcasts along the output. uniform: the others.
    """

    arrays: tuple[np.ndarray, ...]
    uniform: dict[str, int]
    rounding: int

    def quantised(self, acc: Expr, parameters: Sequence[Expr]) -> Expr:
        """int32, from minimum to maximum. parameters: the values of `arrays` at the point."""
        bias, scale, *others = parameters
        given = iter(others)
        zero_point, low, high = (self.uniform[name] if name in self.uniform else next(given) for name in PARAMETERS)
        acc = acc if isinstance(bias, Const) and bias.value == 0 else acc + bias
        if not others:
            return self._whole(acc, scale, zero_point, low, high)
        whole = self._whole(acc, scale, 0, -LARGEST, LARGEST)
        return np.minimum(np.maximum(whole + zero_point, low), high)

    def _whole(self, acc: Expr, scale: Expr, zero_point: int, minimum: int, maximum: int) -> Expr:
        return call("requantise", acc, scale, dtype="int32", rounding=self.rounding, zero_point=zero_point, minimum=minimum,
                    maximum=maximum)


def lanes(graph: Graph, name: str, rank: int) -> Lanes:
    """Of a constant of dtype qnt; `why_not` must allow it."""
    found = unpack_lanes(graph.constants[name])
    along = lambda values: np.ascontiguousarray(values).reshape(-1, *[1] * (rank - 2))  # noqa: E731
    arrays = [found["bias"].astype(np.int32), found["multiplier"] / np.exp2(found["shift"].astype(np.float64))]
    arrays = [values[:1].reshape(()) if (values == values[0]).all() else along(values) for values in arrays]
    uniform = {key: int(found[key][0]) for key in PARAMETERS if (found[key] == found[key][0]).all()}
    arrays += [along(found[key].astype(np.int32)) for key in PARAMETERS if key not in uniform]
    return Lanes(tuple(arrays), uniform, int(found["rounding"][0]))


def why_not(graph: Graph, name: str) -> str:
    """Why lanes cannot be compiled, or ""."""
    if name not in graph.constants:
        return "its parameters are not constant"
    rounding = unpack_lanes(graph.constants[name])["rounding"]
    return "" if (rounding == rounding[0]).all() else "its channels round in different ways"


def table(graph: Graph, node: Node, position: int, lifted: int) -> Table | None:
    """The table [256] that is a node's input at that position, to be looked up by an int8 with 128 added; None where there
    is none. Its entries are `lifted` as the output is."""
    if len(node.inputs) <= position or not node.inputs[position]:
        return None
    # entry x & 255 is for x: that of -128 comes first
    entries = np.roll(graph.constants[node.inputs[position]].astype(np.int32), BIAS)
    return constant_table("$table", (entries + lifted).astype(np.uint8))


def finished(whole: Expr, looked_up: Callable[[Expr], Expr] | None, lifted: int) -> Expr:
    """What is stored of an int8 result: as it is, or what the table has for it."""
    return whole + lifted if looked_up is None else looked_up(whole + BIAS)
