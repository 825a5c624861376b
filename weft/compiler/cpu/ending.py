"""What follows the sums of int8 products: requantisation, another tensor that is added, a table; all exact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from weft.isa.quantise import unpack_lanes
from weft.llvm.machine import Form

from .. import te
from ..expr import Expr, call
from ..graph import Graph, Node
from ..te import Tensor
from .kernel import LANES, View
from .layout import BIAS
from .requantise import WIDE, way

PARAMETERS = ("zero_point", "minimum", "maximum")


@dataclass(frozen=True)
class Ending:
    """tensors, constants: what `apply` reads, by the program's names (constants also have values). apply: what is stored,
    out of the int32 sum, the bias in it, at a point (n, c, h, w)."""

    bias: np.ndarray
    tensors: dict[str, Tensor]
    constants: dict[str, np.ndarray]
    apply: Callable[[Expr, tuple[Expr, ...]], Expr]


class _Making:
    def __init__(self, form: Form, channels: int):
        self.form, self.channels = form, -(-channels // LANES) * LANES
        self.tensors: dict[str, Tensor] = {}
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, values: np.ndarray, fill=0) -> Tensor:
        """An array [c], made longer up to whole vectors."""
        padded = np.full(max(self.channels, len(values)), fill, values.dtype)
        padded[:len(values)] = values
        return self.flat(name, padded)

    def flat(self, name: str, values: np.ndarray) -> Tensor:
        self.constants[name] = values
        self.tensors[name] = te.placeholder(name.strip("$"), {"c": len(values)}, values.dtype.name, 0)
        return self.tensors[name]

    def quantise(self, name: str, lanes: np.ndarray, largest: np.ndarray, lifted: int) -> Callable[[Expr, Expr], Expr]:
        """(sum with its bias, channel) -> int32, `lifted` higher than it is. largest: of the absolute sums, [c]."""
        found = unpack_lanes(lanes)
        scale = found["multiplier"] / np.exp2(found["shift"].astype(np.float64))
        rounding = int(found["rounding"][0])
        chosen = way(largest, scale, self.form, rounding)
        scales = self.constant(f"${name}", scale if chosen == WIDE else scale.astype(np.float32))
        uniform = all((found[key] == found[key][0]).all() for key in PARAMETERS)
        if uniform:
            zero, low, high = (int(found[key][0]) + lifted for key in PARAMETERS)
            attrs = dict(rounding=rounding, zero_point=zero, minimum=low, maximum=high, way=chosen)
            return lambda acc, c: call("requantise", acc, scales[c], dtype="int32", **attrs)
        arrays = [self.constant(f"${name}_{key}", found[key].astype(np.int32) + lifted) for key in PARAMETERS]
        attrs = dict(rounding=rounding, zero_point=0, minimum=-2**20, maximum=2**20, way=chosen)

        def each(acc, c):
            whole = call("requantise", acc, scales[c], dtype="int32", **attrs) + arrays[0][c]
            return np.minimum(np.maximum(whole, arrays[1][c]), arrays[2][c])
        return each


def why_not(graph: Graph, names: list[str]) -> str:
    """Why parameters cannot be compiled, "" where they can."""
    for name in names:
        if name and name not in graph.constants:
            return f"its parameters '{name}' are not constant"
        if name and graph.tensors[name].dtype == "qnt":
            rounding = unpack_lanes(graph.constants[name])["rounding"]
            if (rounding != rounding[0]).any():
                return "its channels round in different ways"
    return ""


def ending(node: Node, graph: Graph, views: Mapping[str, View], form: Form, sums: np.ndarray, largest: np.ndarray) -> Ending:
    """Of conv2d, conv2d_add, depthwise_conv2d and dense.

    sums: for each channel what is to be taken off the sums of uint8 inputs by weights, int64 [c]. largest: of the absolute
    sums of int8 inputs, [c].
    """
    make = _Making(form, len(sums))
    lanes = graph.constants[node.inputs[2]]
    added = node.op == "conv2d_add"
    table = graph.constants[name] if (name := (node.inputs[5:] if added else node.inputs[3:4] or [""])[0] if
                                      len(node.inputs) > (5 if added else 3) else "") else None
    bias = lanes["bias"].astype(np.int64) - sums
    make.constant("$bias", bias.astype(np.uint32).view(np.int32))  # wraps, as sums do
    most = largest + np.abs(lanes["bias"].astype(np.int64))
    stored = views[node.outputs[0]].dtype
    lifted = BIAS if stored == "uint8" else 0
    lift = 0 if added or table is not None else lifted
    first = make.quantise("scale", lanes, most, lift)
    steps = [lambda acc, point: first(acc, point[1])]
    if added:
        steps.append(_plus(node, graph, views, make, 0 if table is not None else lifted))
    if table is not None:
        entries = make.flat("$table", (np.roll(table.astype(np.int32), BIAS) + lifted).astype(stored))
        steps.append(lambda x, point: entries[x + BIAS])

    def apply(acc, point):
        for step in steps:
            acc = step(acc, point)
        return acc.astype(stored)
    return Ending(make.constants["$bias"], make.tensors, make.constants, apply)


def _plus(node: Node, graph: Graph, views: Mapping[str, View], make: _Making, lifted: int):
    """requantised x * factors[0] + other * factors[1]."""
    name, (own, others) = node.inputs[3], (int(f) for f in node.attrs["multipliers"])
    other = make.tensors[name] = views[name].placeholder("other")
    lanes = graph.constants[node.inputs[4]]
    bias = lanes["bias"].astype(np.int64) - others * BIAS
    shift = make.constant("$bias_sum", bias.astype(np.uint32).view(np.int32))
    most = np.abs(lanes["bias"].astype(np.int64)) + (abs(own) + abs(others)) * BIAS
    last = make.quantise("scale_sum", lanes, most, lifted)

    def step(x, point):
        n, c, h, w = point
        return last(x * own + other[n, c, h, w].astype("int32") * others + shift[c], c)
    return step
