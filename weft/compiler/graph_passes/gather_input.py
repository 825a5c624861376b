"""The first convolution's few channels fill a block: the host packs several places of the image beside one another.

    conv2d(x [N, 3, H, W], w [O, 3, KH, KW]) -> conv2d(gather(x) [N, RH*RW*3, H', W'], w' [O, RH*RW*3, KH', KW'])

Rows and columns of the kernel are folded into channels, in groups of RH and RW neighbours; groups are multiples of the
stride, so that places of an output's groups lie among those of others', or all of an axis (then each output has places of
its own). How much is folded is chosen by estimated cycles. Packing is a matter of layout: the graph's tensors stay as they
are, the convolution's attribute `gather` says how its input lies in DRAM, and padding is packed with the rest.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config
from weft.runtime.layout import GatherAxis

from ..graph import Graph, Node, TensorType
from ..operators import conv2d, conv2d_tile

THREADS = 2  # estimates are for programs of so many virtual threads


@dataclass(frozen=True)
class Fold:
    """One axis of a convolution, folded: places of the input for a GatherAxis, and the kernel, stride, pads and dilation
    left."""

    axis: GatherAxis
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1


@dataclass(frozen=True)
class GatherInput:
    name: ClassVar[str] = "gather-input"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in graph.nodes:
            if node.op != "conv2d" or node.where != "accel" or not _packed(graph, node.inputs[0]) \
                    or node.attrs["groups"] > 1 or node.attrs.get("parts", 1) > 1:
                continue
            if graph.tensors[node.inputs[0]].shape[1] < config.block_in and _alone_on_accelerator(graph, node):
                _rewrite(graph, node, config)


def _packed(graph: Graph, name: str) -> bool:
    """Whether the tensor comes from outside of the accelerator, as it is or as a view."""
    maker = graph.producers().get(name)
    return maker is None or maker.where == "host" or maker.where == "view" and _packed(graph, maker.inputs[0])


def _alone_on_accelerator(graph: Graph, node: Node) -> bool:
    """Whether no other accelerator node reads the input, which lies in one way only."""
    return sum(n.inputs.count(node.inputs[0]) for n in graph.nodes if n.where == "accel") == 1


def folds(size: int, out: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> Iterator[Fold]:
    """The ways to fold an axis: not at all, in groups of a multiple of the stride, and all of it."""
    yield Fold(GatherAxis(1, 1, 0, 0, size), kernel, stride, before, after, dilation)
    if kernel == 1:
        return
    yield Fold(GatherAxis(kernel, stride, dilation, -before, out), 1)
    if dilation == 1:
        for steps in range(1, -(-kernel // stride)):
            groups = -(-kernel // (steps * stride))
            if steps * stride > 1:
                yield Fold(GatherAxis(steps * stride, stride, 1, -before, out + (groups - 1) * steps), groups,
                           dilation=steps)


def attributes(node: Node, rows: Fold, columns: Fold) -> dict:
    """The node's attributes where its input is gathered so."""
    return node.attrs | {
        "gather": (tuple(rows.axis), tuple(columns.axis)), "strides": (rows.stride, columns.stride),
        "pads": (rows.before, columns.before, rows.after, columns.after), "dilations": (rows.dilation, columns.dilation)}


def folded_weights(w: np.ndarray, rows: Fold, columns: Fold) -> np.ndarray:
    """Weights [O, C, KH, KW] as [O, RH*RW*C, KH', KW'], with 0 for places beyond the kernel."""
    o, c, kh, kw = w.shape
    rh, rw, kh_, kw_ = rows.axis.parts, columns.axis.parts, rows.kernel, columns.kernel
    wide = np.zeros((o, c, kh_ * rh, kw_ * rw), w.dtype)
    wide[:, :, :kh, :kw] = w
    split = wide.reshape(o, c, kh_, rh, kw_, rw)
    return np.ascontiguousarray(split.transpose(0, 3, 5, 1, 2, 4).reshape(o, rh * rw * c, kh_, kw_))


def _rewrite(graph: Graph, node: Node, config: Config) -> None:
    plain, *others = sorted(_candidates(graph, node, config), key=lambda c: (c[0] is not None, c[1]))
    best, fewest = None, estimated_cycles(plain[2], config)
    for choice, least, shape in others:
        if least < fewest and (cycles := estimated_cycles(shape, config)) < fewest:
            best, fewest = choice, cycles
    if best is None:
        return
    name = node.inputs[1]
    type_ = graph.tensors[name]
    node.attrs = attributes(node, *best) | {"macs_per_output": node.attrs.get("macs_per_output", math.prod(type_.shape[1:]))}
    node.inputs[1] = graph.add_constant(f"{name}.gathered", folded_weights(graph.constants[name], *best), type_.scale,
                                        type_.zero_point, type_.axis)


def _candidates(graph: Graph, node: Node, config: Config) -> Iterator[tuple]:
    """(folds or None for none, the least cycles that multiplying or loading can take, the convolution)."""
    x, w, y = (graph.tensors[name].shape for name in (*node.inputs[:2], node.outputs[0]))
    top, left, bottom, right = node.attrs["pads"]
    axes = [folds(x[2 + d], y[2 + d], w[2 + d], node.attrs["strides"][d], (top, left)[d], (bottom, right)[d],
                  node.attrs["dilations"][d]) for d in (0, 1)]
    columns = list(axes[1])
    for row in axes[0]:
        for column in columns:
            shape = _shape(graph, node, row, column, config)
            window = shape.window
            steps = shape.n * shape.oh * shape.ow * shape.co * shape.ci * window.kh * window.kw
            bytes_ = shape.n * shape.ci * shape.h * shape.w * config.inp_bytes
            folded = (row, column) if row.axis.parts * column.axis.parts > 1 else None
            yield folded, max(steps, bytes_ // (config.bus_bits // 8)), shape


def _shape(graph: Graph, node: Node, rows: Fold, columns: Fold, config: Config) -> conv2d_tile.Shape:
    type_ = graph.tensors[node.inputs[1]]
    shape = (type_.shape[0], rows.axis.parts * columns.axis.parts * type_.shape[1], rows.kernel, columns.kernel)
    folded = Node(node.name, node.op, [node.inputs[0], "w", *node.inputs[2:]], node.outputs, attributes(node, rows, columns))
    types = {**graph.tensors, "w": TensorType(shape, "int8")}
    return conv2d.shape_of(folded, Graph(graph.name, tensors=types), config)


def estimated_cycles(shape: conv2d_tile.Shape, config: Config) -> float:
    """Cycles of the convolution with the best tile."""
    return conv2d_tile.estimate(shape, config, conv2d_tile.choose("gathered convolution", shape, config, THREADS))
