"""Slices, pads and joints become one convolution with weights 0 and 1, exact and on the accelerator. What joins or cuts
whole blocks of channels stays: it costs nothing, by its place in memory (`sharing`).

    pad(slice(x), ...)                   -> conv2d(x) 1 by 1, weight 1 from each channel to its place; rows and columns
                                            that a slice leaves out, or a pad adds, by stride and padding; dense(x) for
                                            [N, C]
    pad(x) of another value than zero    -> avg_pool(x) of single values
    reshape(transpose(reshape(x)))       -> conv2d(x) likewise, where only channels change places
    concat(x, y)                         -> add(pad(x), pad(y)), and those pads likewise
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.runtime import kernels

from ..graph import Graph, Node, TensorType
from ..sharing import joins
from .lanes import scale_lanes
from .rewrite import only_reader


@dataclass
class _Selection:
    """Which input channel each output channel shows (-1: none, it is the zero point), and which rows and columns, which may
    lie outside of the image."""

    channels: np.ndarray
    spans: list[range]
    chain: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Select:
    name: ClassVar[str] = "select"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op == "concat" and node.attrs["axis"] > 0 and not joins(graph, node, config):
                _add_up(graph, node)
        for node in list(graph.nodes):
            free = node.op == "slice" and joins(graph, node, config)
            if node in graph.nodes and node.op in ("slice", "pad") and not free:
                _rewrite(graph, node)
        for node in list(graph.nodes):
            if node.op == "pad":
                _pad_alone(graph, node)
            elif node.op == "reshape" and node in graph.nodes:
                _shuffle(graph, node)


def _add_up(graph: Graph, node: Node) -> None:
    """Each input padded to the whole with the zero point, which adds nothing; the sum is exact."""
    type_, axis = graph.tensors[node.outputs[0]], node.attrs["axis"]
    if len(type_.shape) not in (2, 4) or type_.dtype != "int8" or not type_.quantised or len(node.inputs) < 2 \
            or any(name in graph.constants for name in node.inputs):
        return
    size, first, made, total = type_.shape[axis], 0, [], ""
    lanes = graph.add_constant(f"{node.name}.qnt",
                               scale_lanes(type_.shape[1], 1.0, -2 * type_.zero_point, type_, {}, graph.rounding))
    for i, name in enumerate(node.inputs):
        count = graph.tensors[name].shape[axis]
        placed = graph.add_tensor(f"{node.outputs[0]}.part{i}", type_)
        attrs = {"before": _along(axis, first, type_), "after": _along(axis, size - first - count, type_),
                 "value": type_.zero_point}
        made.append(Node(f"{node.name}.part{i}", "pad", [name], [placed], attrs))
        first += count
        if i:
            last = i == len(node.inputs) - 1
            sums = node.outputs[0] if last else graph.add_tensor(f"{node.outputs[0]}.sum{i}", type_)
            made.append(Node(node.name if last else f"{node.name}.sum{i}", "add", [total, placed, lanes], [sums],
                             {"multipliers": (1, 1)}))
            placed = sums
        total = placed
    at = graph.nodes.index(node)
    graph.nodes[at:at + 1] = made


def _along(axis: int, value: int, type_: TensorType) -> tuple[int, ...]:
    return tuple(value if k == axis else 0 for k in range(len(type_.shape)))


def _rewrite(graph: Graph, first: Node) -> None:
    """Replaces the longest chain of slices and pads that begins at `first`, if it begins with one that fits."""
    type_ = graph.tensors[first.inputs[0]]
    if len(type_.shape) not in (2, 4) or type_.dtype != "int8" or not type_.quantised:
        return
    selection, node = _Selection(np.arange(type_.shape[1]), [range(n) for n in type_.shape[2:]]), first
    while node is not None and _extend(graph, selection, node):
        node = only_reader(graph, node.outputs[0])
    if selection.chain:
        _replace(graph, selection, type_)


def _extend(graph: Graph, selection: _Selection, node: Node) -> bool:
    type_ = graph.tensors[node.inputs[0]]
    if node.op == "slice":
        return _extend_slice(selection, node, type_.shape)
    if node.op != "pad" or node.attrs["value"] != type_.zero_point:
        return False
    before, after = node.attrs["before"], node.attrs["after"]
    spans = zip(before[2:], after[2:], selection.spans, strict=True)
    if before[0] or after[0] or any(a + b and span.step > 1 for a, b, span in spans):
        return False
    selection.channels = np.pad(selection.channels, (before[1], after[1]), constant_values=-1)
    selection.spans = [range(span.start - a * span.step, span.stop + b * span.step, span.step)
                       for a, b, span in zip(before[2:], after[2:], selection.spans, strict=True)]
    selection.chain.append(node)
    return True


def _extend_slice(selection: _Selection, node: Node, shape: tuple[int, ...]) -> bool:
    starts, ends, steps = (node.attrs[key] for key in ("starts", "ends", "steps"))
    cuts = [slice(start, end, step) for start, end, step in zip(starts, ends, steps, strict=True)]
    if (starts[0], ends[0]) != (0, shape[0]) or min(steps) < 1:
        return False
    selection.channels = selection.channels[cuts[1]]
    selection.spans = [span[cut] for cut, span in zip(cuts[2:], selection.spans, strict=True)]
    selection.chain.append(node)
    return True


def _replace(graph: Graph, selection: _Selection, type_: TensorType) -> None:
    last = selection.chain[-1]
    shown = selection.channels >= 0
    weight = np.zeros((len(shown), type_.shape[1], *[1] * len(selection.spans)), np.int8)
    weight[shown, selection.channels[shown]] = 1
    lanes = scale_lanes(len(shown), 1.0, np.where(shown, -type_.zero_point, 0), type_, {}, graph.rounding)
    names = [graph.add_constant(f"{last.name}.weights", weight, 1.0, 0), graph.add_constant(f"{last.name}.qnt", lanes)]
    made = Node(last.name, "dense", [selection.chain[0].inputs[0], *names], list(last.outputs), {"macs_per_output": 0})
    if selection.spans:
        sizes = zip(selection.spans, type_.shape[2:], strict=True)
        (top, bottom), (left, right) = ((-span.start, span[-1] + 1 - size) for span, size in sizes)
        made.op, made.attrs = "conv2d", made.attrs | {
            "strides": tuple(span.step for span in selection.spans), "pads": (top, left, bottom, right), "dilations": (1, 1),
            "groups": 1, "pad_value": type_.zero_point}
    graph.nodes[graph.nodes.index(last)] = made
    for node in selection.chain[:-1]:
        graph.nodes.remove(node)


def _pad_alone(graph: Graph, node: Node) -> None:
    """Rows and columns of any value: averages of one value each, which stay as they are."""
    type_, before, after = graph.tensors[node.inputs[0]], node.attrs["before"], node.attrs["after"]
    if len(type_.shape) != 4 or type_.dtype != "int8" or not type_.quantised or any((*before[:2], *after[:2])):
        return
    lanes = scale_lanes(type_.shape[1], 1.0, -type_.zero_point, type_, {}, graph.rounding)
    node.op, node.inputs = "avg_pool", [node.inputs[0], graph.add_constant(f"{node.name}.qnt", lanes)]
    node.attrs = {"kernel": (1, 1), "strides": (1, 1), "pads": (*before[2:], *after[2:]), "pad_value": node.attrs["value"]}


def _shuffle(graph: Graph, first: Node) -> None:
    """A reshape, a transpose and a reshape after which each channel of an image is another one as a whole."""
    type_, chain = graph.tensors[first.inputs[0]], [first]
    for op in ("transpose", "reshape"):
        reader = only_reader(graph, chain[-1].outputs[0])
        if reader is None or reader.op != op:
            return
        chain.append(reader)
    shape = type_.shape
    if len(shape) != 4 or graph.tensors[chain[-1].outputs[0]] != type_ or type_.dtype != "int8" or not type_.quantised:
        return
    places = np.arange(np.prod(shape)).reshape(shape)
    moved = places
    for node in chain:
        (moved,) = kernels.run(node.op, node.attrs, moved)
    channels = moved[0, :, 0, 0] // np.prod(shape[2:])
    if channels.max() < shape[1] and np.array_equal(moved, places[:, channels]):
        _replace(graph, _Selection(channels, [range(n) for n in shape[2:]], chain), type_)
