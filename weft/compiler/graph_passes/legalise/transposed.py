"""Transposed convolutions: a convolution of its own for each remainder of rows and columns by the stride, without a zero in
it.

    ConvTranspose(x, w, bias) -> pieces of conv2d(x, every stride-th row and column of w)
"""

import numpy as np

from weft.runtime.kernels.conv import as_convolution, spread
from weft.runtime.kernels.windows import transposed_pads

from ...graph import Graph, Node
from ..lanes import product_lanes
from ..weight_parts import split
from . import runs
from .common import Form, NotInteger
from .products import bias_of, without_zero_point


def _conv_transpose(graph: Graph, node: Node) -> None:
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    groups, strides = node.attrs.get("group", 1), tuple(node.attrs.get("strides", (1, 1)))
    weight, scales = _weights(graph, node, groups)
    weight = spread(weight, tuple(node.attrs.get("dilations", (1, 1))))
    before = transposed_pads(node.attrs, source.shape[2:], weight.shape[2:])[:2]
    axes = tuple(runs.transposed(*sizes) for sizes in zip(source.shape[2:], target.shape[2:], weight.shape[2:], strides,
                                                          before,
                                                          strict=True))
    step = source.scale * scales
    bias = bias_of(graph, node, step)

    def piece(rows: runs.Run, columns: runs.Run) -> tuple[list[str], dict]:
        changed, lanes = product_lanes(taken(weight, rows.taps, columns.taps), step, bias, source, target, node.attrs,
                                       graph.rounding)
        changed, parts = split(changed)
        names = [graph.add_constant(f"{node.name}.weights", changed, tuple(map(float, scales)), (0,) * len(changed), 0),
                 graph.add_constant(f"{node.name}.qnt", lanes)]
        attrs = {"dilations": (1, 1), "groups": groups, "pad_value": source.zero_point}
        return names, attrs | ({"parts": parts} if parts > 1 else {})

    runs.add_pieces(graph, node, "conv2d", source.shape, axes, piece, {"macs": graph.macs(node)}, node.outputs[0])


def _weights(graph: Graph, node: Node, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """(whole weights [O, C / groups, KH, KW] as a convolution has them, their scales float64 [O])."""
    name = node.inputs[1]
    type_ = graph.tensors[name]
    if name not in graph.constants or type_.dtype != "int8" or not type_.quantised:
        raise NotInteger("its weights are not constant int8")
    c, each = type_.shape[:2]
    scales = np.float64(type_.scale)
    if type_.axis == 1:
        scales = np.tile(scales, groups)
    elif type_.axis is not None and (type_.axis != 0 or groups < c or each > 1):
        raise NotInteger(f"its weights have a scale along axis {type_.axis}")
    values = as_convolution(without_zero_point(graph, name), groups)
    return values, np.broadcast_to(scales, len(values))


def taken(weight: np.ndarray, rows: tuple, columns: tuple) -> np.ndarray:
    """Rows and columns of a kernel; 0 for those that are None."""
    empty = (weight.shape[0], weight.shape[1], len(rows), len(columns))
    return np.zeros(empty, weight.dtype) if None in (*rows, *columns) else weight[:, :, rows][:, :, :, columns]


FORMS: dict[str, Form] = {"ConvTranspose": _conv_transpose}
