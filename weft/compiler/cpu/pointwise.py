"""Nodes that make one value of one value of each input: their inputs as operands of a kernel of points."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..expr import Expr
from ..graph import Graph, Node
from . import points
from .kernel import Kernel, View
from .layout import BIAS
from .points import Operand, Table

Source = str | np.ndarray  # a tensor's name, or a constant that a builder made
PIXEL = 4  # bytes of a pixel of few channels


def lift(graph: Graph, name: str, view: View) -> int:
    """How much higher than in the graph a tensor's values lie: activations of int8 are kept as uint8."""
    return BIAS if graph.tensors[name].dtype == "int8" and view.dtype == "uint8" else 0


def stored(x: Expr, lifted: int) -> Expr:
    """An integer as the graph stores it, int32, of what lies in memory."""
    return x.astype("int32") - lifted if lifted else x.astype("int32")


def clamped(attrs: dict, x: Expr) -> Expr:
    """A real number with the clamp that was fused into its operator."""
    x = np.maximum(x, float(attrs["minimum"])) if "minimum" in attrs else x
    return np.minimum(x, float(attrs["maximum"])) if "maximum" in attrs else x


def sources(graph: Graph, names: Sequence[Source], views: Mapping[str, View], view: View) -> tuple[tuple[int, ...], list]:
    """(sizes to loop over, operands) of tensors and constants that broadcast to a view's shape."""
    rank, others = len(view.shape), []
    for name in names:
        if isinstance(name, str) and name not in graph.constants:
            shape = graph.tensors[name].shape
            others.append((views[name], points.broadcast(points.whole(name, views[name]), shape, rank).strides))
    sizes, found = points.extents(view, others), []
    for k, name in enumerate(names):
        if isinstance(name, str) and name not in graph.constants:
            found.append(points.broadcast(points.whole(name, views[name]), graph.tensors[name].shape, rank))
            continue
        found.append(points.given(f"${k}", graph.constants[name] if isinstance(name, str) else name, sizes))
    return sizes, found


def build(node: Node, graph: Graph, views: Mapping[str, View], names: Sequence[Source], define: Callable[..., Expr],
          table: Table | None = None, vectorise: bool = True) -> Kernel:
    """The kernel of a node's first output.

    names: tensors, and constants that the builder made. define: of their values as they lie in memory, and of the table's
    function if there is one, what to store.
    """
    out = node.outputs[0]
    sizes, operands = sources(graph, names, views, views[out])
    target = points.whole(out, views[out])
    if table is None and _is_of_pixels(views[out], operands):
        return _by_pixel(node, sizes, target, operands, define)
    return points.kernel(node.name, sizes, target, operands + [table] * (table is not None), define, vectorise)


def _is_of_pixels(view: View, operands: Sequence[Operand | Expr]) -> bool:
    """Whether a view has pixels of 4 bytes, and something is read whose columns are neighbours."""
    if view.dtype != "uint8" or len(view.shape) != 4 or view.shape[1] + view.around[1][1] != PIXEL or view.strides[1] != 1:
        return False
    return any(isinstance(o, Operand) and o.values is None and o.strides[3] == 1 for o in operands)


def _by_pixel(node: Node, sizes: Sequence[int], target: Operand, operands: Sequence[Operand | Expr],
              define: Callable[..., Expr]) -> Kernel:
    """All channels of a pixel as one int32, so that neighbouring pixels are a vector."""
    channels, count = sizes[1], len(operands)
    at = lambda o, c: replace(o, strides=(o.strides[0], 0, *o.strides[2:]), offset=o.offset + c * o.strides[1])  # noqa: E731
    every = [at(o, c) if isinstance(o, Operand) else o for c in range(channels) for o in operands]
    strides = tuple(0 if axis == 1 else stride // PIXEL for axis, stride in enumerate(target.strides))
    pixels = replace(target, dtype="int32", strides=strides, size=-(-target.size // PIXEL), before=target.before // PIXEL)

    def together(*values: Expr) -> Expr:
        made = [define(*values[c * count:(c + 1) * count]).astype("uint8").astype("int32") for c in range(channels)]
        return functools.reduce(lambda a, b: a + b, (byte * 256 ** c if c else byte for c, byte in enumerate(made)))

    return points.kernel(node.name, (sizes[0], 1, *sizes[2:]), pixels, every, together)
