"""Operators that move values and do not change them: one copy of the output, met in the input's memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from weft.runtime.kernels.shape import slice_ranges
from weft.runtime.kernels.view import rearrange

from ...expr import Const, Expr
from ...graph import Graph, Node
from .. import access, points, pointwise
from ..access import Access
from ..kernel import Kernel, View
from ..layout import BIAS
from ..pointwise import clamped, lift, stored
from .registry import operator

MOVED = ("int8", "uint8", "float32", "int32")  # dtypes that lie in memory as they are


def supports(node: Node, graph: Graph) -> str:
    dtype = graph.tensors[node.outputs[0]].dtype
    if dtype not in MOVED:
        return f"the CPU moves {', '.join(MOVED)}, not {dtype}"
    return "" if all(name in graph.constants for name in node.inputs[1:] if name) else "its parameters are not constant"


def parameter(node: Node, graph: Graph, position: int, attribute: str) -> Sequence[int] | None:
    """Whole numbers that are a constant input, or an attribute; None where they are neither."""
    if len(node.inputs) > position and node.inputs[position]:
        return [int(v) for v in graph.constants[node.inputs[position]].reshape(-1)]
    return node.attrs.get(attribute)


class Copy:
    """Copies of a tensor of a node into another."""

    def __init__(self, node: Node, graph: Graph, views: Mapping[str, View], source: int = 0, target: int = 0):
        self.node, name, out = node, node.inputs[source], node.outputs[target]
        self.writes, self.to, self.shape = points.whole(out, views[out]), access.of(views[out]), graph.tensors[out].shape
        self.up = lift(graph, out, views[out])
        if name in graph.constants:
            values = graph.constants[name]
            self.reads, self.down = points.constant("$source", values, values.shape), 0
            self.source = Access(tuple(((size, stride),) for size, stride in zip(values.shape, self.reads.strides)))
        else:
            self.reads, self.down = points.whole(name, views[name]), lift(graph, name, views[name])
            self.source = access.of(views[name])

    def value(self, x: Expr) -> Expr:
        """As it lies in the target."""
        x = x if self.down == self.up else stored(x, self.down) + self.up
        return clamped(self.node.attrs, x)

    def kernel(self, source: Access, target: Access | None = None) -> Kernel:
        """From where the source is met to where the target is."""
        target = target or self.to
        met = access.together(target, source)
        if met is None:
            return self.by_places(source.places())
        sizes, to, from_ = met
        writes = replace(self.writes, strides=to, offset=target.offset)
        reads = replace(self.reads, strides=from_, offset=source.offset)
        return points.kernel(self.node.name, sizes, writes, [reads], self.value)

    def by_places(self, places: np.ndarray) -> Kernel:
        """places: for each value of the output where it lies in the source."""
        index = points.constant("$places", places.astype(np.int32), self.shape)
        return points.kernel(self.node.name, self.shape, self.writes, [index, points.looked_up(self.reads)],
                             lambda place, source: self.value(source(place)), vectorise=False)


@operator("transpose", "Transpose", supports=supports)
def transpose(node, graph, views, form):
    copy = Copy(node, graph, views)
    return copy.kernel(copy.source.transpose(node.attrs.get("perm") or range(len(copy.source.axes))[::-1]))


@operator("layout", "Identity", supports=supports)
def layout(node, graph, views, form):
    """From one layout to another."""
    return pointwise.build(node, graph, views, node.inputs[:1], Copy(node, graph, views).value)


@operator("reshape", "Reshape", "Flatten", "Squeeze", "Unsqueeze", supports=supports)
def reshape(node, graph, views, form):
    """By strides where they are enough."""
    copy = Copy(node, graph, views)
    source = copy.source.reshape(copy.shape)
    return copy.by_places(copy.source.places().reshape(copy.shape)) if source is None else copy.kernel(source)


@operator("view", supports=supports)
def view(node, graph, views, form):
    """Transposes and reshapes one after the other, in one copy; int8 may become the uint8 of the same real numbers."""
    copy = Copy(node, graph, views)
    types = [graph.tensors[name].dtype for name in (node.inputs[0], node.outputs[0])]
    copy.up += {("int8", "uint8"): BIAS, ("uint8", "int8"): -BIAS}.get(tuple(types), 0)
    moves = [step for step in node.attrs["steps"] if step[0] != "flip"]
    source: Access | None = copy.source
    for kind, argument in moves:
        source = source and (source.transpose(argument) if kind == "transpose" else source.reshape(argument))
    return copy.by_places(rearrange(copy.source.places(), moves)) if source is None else copy.kernel(source)


@operator("slice", "Slice", supports=supports)
def slice_(node, graph, views, form):
    copy = Copy(node, graph, views)
    shape = copy.source.shape
    if node.op == "slice":
        steps = zip(node.attrs["starts"], copy.shape, node.attrs["steps"], strict=True)
    else:
        names = ("starts", "ends", "axes", "steps")
        ranges = slice_ranges(shape, *(parameter(node, graph, k + 1, name) for k, name in enumerate(names)))
        steps = ((r.start, len(r), r.step) for r in ranges)
    source = copy.source
    for axis, (start, size, step) in enumerate(steps):
        source = source.slice(axis, int(start), size, int(step))
    return copy.kernel(source)


@operator("Split", supports=supports)
def split(node, graph, views, form):
    """A copy for each output."""
    made, at = [], 0
    for k in range(len(node.outputs)):
        copy = Copy(node, graph, views, target=k)
        axis = node.attrs.get("axis", 0) % len(copy.shape)
        made.append(copy.kernel(copy.source.slice(axis, at, copy.shape[axis])))
        at += copy.shape[axis]
    return made


def _same_dtypes(node: Node, graph: Graph) -> str:
    dtype = graph.tensors[node.outputs[0]].dtype
    return "" if dtype in MOVED else f"the CPU moves {', '.join(MOVED)}, not {dtype}"


@operator("concat", "Concat", supports=_same_dtypes)
def concat(node, graph, views, form):
    """A copy of each input."""
    made, at = [], 0
    for k in range(len(node.inputs)):
        copy = Copy(node, graph, views, source=k)
        axis = node.attrs["axis"] % len(copy.shape)
        size = copy.source.shape[axis]
        made.append(copy.kernel(copy.source, copy.to.slice(axis, at, size)))
        at += size
    return made


@operator("pad", "Pad", supports=supports)
def pad(node, graph, views, form):
    """The value everywhere, and then the input; a negative pad leaves so much out."""
    copy = Copy(node, graph, views)
    if node.op == "pad":
        before, value = node.attrs["before"], node.attrs["value"]
    else:
        pads, value = parameter(node, graph, 1, "pads"), node.attrs.get("value", 0)
        if len(node.inputs) > 2 and node.inputs[2]:
            value = graph.constants[node.inputs[2]].reshape(-1)[0]
        axes = parameter(node, graph, 3, "axes") or range(len(copy.shape))
        before = [0] * len(copy.shape)
        for axis, n in zip(axes, pads):
            before[axis] = n
    source, target = copy.source, copy.to
    for axis, (n, size, out) in enumerate(zip(before, source.shape, copy.shape)):
        kept = min(size + min(n, 0), out - max(n, 0))
        source = source.slice(axis, max(-n, 0), kept)
        target = target.slice(axis, max(n, 0), kept)
    real = copy.writes.dtype == "float32"
    everywhere = Const(float(value), "float32") if real else Const(int(value) + copy.up, "int32")
    filled = points.kernel(node.name, copy.shape, copy.writes, [], lambda: clamped(node.attrs, everywhere))
    return [filled, copy.kernel(source, target)]


@operator("Expand", supports=supports)
def expand(node, graph, views, form):
    copy = Copy(node, graph, views)
    return copy.kernel(copy.source.expand(copy.shape))


@operator("Gather", supports=supports)
def gather(node, graph, views, form):
    """One index leaves an axis out; of several, each value's place is in a table."""
    copy, indices = Copy(node, graph, views), graph.constants[node.inputs[1]]
    axis = node.attrs.get("axis", 0) % len(copy.source.axes)
    size = copy.source.shape[axis]
    if indices.ndim == 0:
        return copy.kernel(copy.source.slice(axis, int(indices) % size, 1).without(axis))
    return copy.by_places(copy.source.places().take(indices, axis))


@operator("DepthToSpace", "SpaceToDepth", supports=supports)
def blocks(node, graph, views, form):
    """Blocks of rows and columns become channels, or the other way."""
    copy, b = Copy(node, graph, views), node.attrs["blocksize"]
    n, c, h, w = copy.source.shape
    if node.op == "SpaceToDepth":
        steps = (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4)
    elif node.attrs.get("mode", "DCR") == "DCR":
        steps = (n, b, b, c // b ** 2, h, w), (0, 3, 4, 1, 5, 2)
    else:
        steps = (n, c // b ** 2, b, b, h, w), (0, 1, 4, 2, 5, 3)
    source = copy.source.reshape(steps[0])
    places = copy.source.places().reshape(steps[0]).transpose(steps[1]).reshape(copy.shape)
    source = source and source.transpose(steps[1]).reshape(copy.shape)
    return copy.by_places(places) if source is None else copy.kernel(source)
