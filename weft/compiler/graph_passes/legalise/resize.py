"""Resizing, and blocks of space that become channels and back.

    Resize(x)         -> pieces of depthwise_conv2d(x), the weights of neighbours as whole numbers: rounded once
    DepthToSpace(x)   -> pieces of conv2d(x) with weights 0 and 1, a piece for each place of a block
    SpaceToDepth(x)   -> conv2d(x) with weights 0 and 1, a block of space its kernel
"""

import math
from fractions import Fraction

import numpy as np

from weft.runtime.kernels.resize import depth_to_space, ratios, taps

from ...graph import Graph, Node
from ..lanes import scale_lanes, stored_average_lanes
from ..weight_parts import split
from . import runs
from .common import Form, NotInteger

LARGEST = 4 * 127  # a weight of so many parts of int8


def _resize(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    factors = ratios(source.shape, node.attrs.get("scales"), node.attrs.get("sizes"))
    if len(source.shape) != 4 or factors[:2] != (1, 1):
        raise NotInteger("it resizes other axes than rows and columns of an image")
    axes = tuple(_axis(taps(node.attrs, factors[d], source.shape[d], target.shape[d]), source.shape[d]) for d in (2, 3))
    channels = source.shape[1]

    def piece(rows: runs.Run, columns: runs.Run) -> tuple[list[str], dict]:
        kernel, units = _whole(rows.taps, columns.taps)
        weight, parts = split(np.broadcast_to(kernel, (channels, 1, *kernel.shape)))
        if "origin" in node.attrs and source.quantisation == target.quantisation:
            lanes = stored_average_lanes(channels, units, graph.rounding, node.attrs["origin"])
        else:
            lanes = scale_lanes(channels, source.scale / target.scale / units, -units * source.zero_point, target,
                                node.attrs, graph.rounding)
        names = [graph.add_constant(f"{node.name}.weights", weight, 1.0, 0), graph.add_constant(f"{node.name}.qnt", lanes)]
        return names, {"pad_value": source.zero_point} | ({"parts": parts} if parts > 1 else {})

    runs.add_pieces(graph, node, "depthwise_conv2d", source.shape, axes, piece, {"macs": 0}, node.outputs[0])


def _axis(seen: list[dict[int, Fraction]], size: int) -> list[runs.Run]:
    """The fewest runs of an axis, by the periods that sizes with a common measure have."""
    windows = [(min(of), tuple(of.get(i, Fraction(0)) for i in range(min(of), max(of) + 1))) for of in seen]
    periods = {len(seen) // math.gcd(len(seen), size),
               max(len(seen) - 1, 1) // math.gcd(max(len(seen) - 1, 1), max(size - 1, 1))}
    return min((runs.runs(windows, period) for period in periods), key=len)


def _whole(rows: tuple[Fraction, ...], columns: tuple[Fraction, ...]) -> tuple[np.ndarray, int]:
    """(the products of the weights as whole numbers [KH, KW], what they add up to)."""
    products = [[a * b for b in columns] for a in rows]
    units = math.lcm(*(p.denominator for row in products for p in row))
    whole = np.array([[int(p * units) for p in row] for row in products])
    if whole.max() > LARGEST:
        raise NotInteger(f"its weights are as fine as 1 / {units}")
    return whole, units


def _selecting(graph: Graph, node: Node, shown: np.ndarray) -> list[str]:
    """Weights [O, C, KH, KW] of 0 and 1, and their lanes, which change the scale if need be."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    lanes = scale_lanes(len(shown), source.scale / target.scale, -source.zero_point, target, {}, graph.rounding)
    return [graph.add_constant(f"{node.name}.weights", shown.astype(np.int8), 1.0, 0),
            graph.add_constant(f"{node.name}.qnt", lanes)]


def _depth_to_space(graph: Graph, node: Node) -> None:
    source, block = graph.tensors[node.inputs[0]], node.attrs["blocksize"]
    (_, c, h, w), outputs = source.shape, graph.tensors[node.outputs[0]].shape[1]
    (places,) = depth_to_space(node.attrs, np.arange(c).reshape(1, c, 1, 1))  # the channel that each place of a block shows
    axes = tuple([runs.Run(first, block, n, 0, 1, (first,)) for first in range(block)] for n in (h, w))

    def piece(rows: runs.Run, columns: runs.Run) -> tuple[list[str], dict]:
        shown = np.zeros((outputs, c, 1, 1), np.int8)
        shown[np.arange(outputs), places[0, :, rows.first, columns.first]] = 1
        return _selecting(graph, node, shown), {"dilations": (1, 1), "groups": 1, "pad_value": source.zero_point}

    runs.add_pieces(graph, node, "conv2d", source.shape, axes, piece, {"macs": 0}, node.outputs[0])


def _space_to_depth(graph: Graph, node: Node) -> None:
    source, block = graph.tensors[node.inputs[0]], node.attrs["blocksize"]
    c = source.shape[1]
    shown = np.zeros((block, block, c, c, block, block), np.int8)
    for row in range(block):
        for column in range(block):
            shown[row, column, range(c), range(c), row, column] = 1
    names = _selecting(graph, node, shown.reshape(-1, c, block, block))
    attrs = {"strides": (block, block), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1,
             "pad_value": source.zero_point,
             "macs_per_output": 0}
    graph.nodes.append(Node(node.name, "conv2d", [node.inputs[0], *names], list(node.outputs), attrs))


FORMS: dict[str, Form] = {"Resize": _resize, "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth}
