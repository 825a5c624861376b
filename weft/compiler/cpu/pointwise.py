"""Nodes that make one value of one value of each input: their inputs as operands of a kernel of points."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..expr import Expr
from ..graph import Graph, Node
from . import points
from .kernel import Kernel, View
from .layout import BIAS
from .points import Table

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


def sources(graph: Graph, names: Sequence[str | np.ndarray], views: Mapping[str, View], view: View) -> tuple[tuple[int, ...], list]:
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


def build(node: Node, graph: Graph, views: Mapping[str, View], names: Sequence[str | np.ndarray], define: Callable[..., Expr],
          table: Table | None = None, vectorise: bool = True) -> Kernel:
    """The kernel of a node's first output.

    names: tensors, and constants that the builder made. define: of their values as they lie in memory, and of the table's function
    if there is one, what to store.
    """
    out = node.outputs[0]
    sizes, operands = sources(graph, names, views, views[out])
    target = points.whole(out, views[out])
    return points.kernel(node.name, sizes, target, operands + [table] * (table is not None), define, vectorise)
