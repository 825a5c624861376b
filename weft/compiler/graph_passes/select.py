"""Slices with a step and pads of channels become one convolution with weights 0 and 1, exact and on the accelerator. What
joins or cuts whole blocks of channels stays: it costs nothing, by its place in memory (`sharing`).

    pad(slice(x, step 2 along H and W), channels) -> conv2d(x) 1 by 1, strides 2, weight 1 from each channel to its place
    concat(x, y) of channels                      -> add(pad(x), pad(y)), and those pads likewise
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from weft.isa import Config

from ..graph import Graph, Node, TensorType
from ..sharing import joins
from .lanes import scale_lanes
from .rewrite import only_reader


@dataclass
class _Selection:
    """Which input channel each output channel shows (-1: none, it is the zero point), and the steps of rows and columns."""

    channels: np.ndarray
    strides: tuple[int, int] = (1, 1)
    chain: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Select:
    name: ClassVar[str] = "select"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op == "concat" and node.attrs["axis"] == 1 and not joins(graph, node, config):
                _add_up(graph, node)
        for node in list(graph.nodes):
            if node in graph.nodes and node.op in ("slice", "pad") and not (node.op == "slice" and joins(graph, node, config)):
                _rewrite(graph, node)


def _add_up(graph: Graph, node: Node) -> None:
    """Each input padded to all channels with the zero point, which adds nothing; the sum is exact."""
    type_ = graph.tensors[node.outputs[0]]
    if len(type_.shape) != 4 or type_.dtype != "int8" or not type_.quantised or len(node.inputs) < 2 \
            or any(name in graph.constants for name in node.inputs):
        return
    channels, first, made, total = type_.shape[1], 0, [], ""
    lanes = graph.add_constant(f"{node.name}.qnt", scale_lanes(channels, 1.0, -2 * type_.zero_point, type_, {}, graph.rounding))
    for i, name in enumerate(node.inputs):
        count = graph.tensors[name].shape[1]
        placed = graph.add_tensor(f"{node.outputs[0]}.part{i}", type_)
        attrs = {"before": (0, first, 0, 0), "after": (0, channels - first - count, 0, 0), "value": type_.zero_point}
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


def _rewrite(graph: Graph, first: Node) -> None:
    """Replaces the longest chain of slices and pads that begins at `first`, if it begins with one that fits."""
    type_ = graph.tensors[first.inputs[0]]
    if len(type_.shape) != 4 or type_.dtype != "int8" or not type_.quantised:
        return
    selection, node = _Selection(np.arange(type_.shape[1])), first
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
    if any(before[:1] + before[2:] + after[:1] + after[2:]):
        return False
    selection.channels = np.pad(selection.channels, (before[1], after[1]), constant_values=-1)
    selection.chain.append(node)
    return True


def _extend_slice(selection: _Selection, node: Node, shape: tuple[int, ...]) -> bool:
    starts, ends, steps = (node.attrs[key] for key in ("starts", "ends", "steps"))
    cuts = [range(start, end, step) for start, end, step in zip(starts, ends, steps, strict=True)]
    if cuts[0] != range(shape[0]) or min(steps) < 1:
        return False
    if any(cut != range(0, size, cut.step) for cut, size in zip(cuts[2:], shape[2:], strict=True)):
        return False  # a convolution begins at the first row and runs to the last
    selection.channels = selection.channels[cuts[1]]
    selection.strides = (selection.strides[0] * steps[2], selection.strides[1] * steps[3])
    selection.chain.append(node)
    return True


def _replace(graph: Graph, selection: _Selection, type_: TensorType) -> None:
    last = selection.chain[-1]
    shown = selection.channels >= 0
    weight = np.zeros((len(shown), type_.shape[1], 1, 1), np.int8)
    weight[shown, selection.channels[shown]] = 1
    lanes = scale_lanes(len(shown), 1.0, np.where(shown, -type_.zero_point, 0), type_, {}, graph.rounding)
    names = [graph.add_constant(f"{last.name}.weights", weight, 1.0, 0), graph.add_constant(f"{last.name}.qnt", lanes)]
    attrs = {"strides": selection.strides, "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1,
             "pad_value": type_.zero_point, "macs_per_output": 0}
    made = Node(last.name, "conv2d", [selection.chain[0].inputs[0], *names], list(last.outputs), attrs)
    graph.nodes[graph.nodes.index(last)] = made
    for node in selection.chain[:-1]:
        graph.nodes.remove(node)
