"""How the tensors of a CPU program lie in memory: which are images, and what borders of padding they have.

Images, tensors of four axes that a convolution, a pool or a resizing touches, lie as NHWC, with the rows and columns around
them that their readers' windows reach; all others lie row-major. Activations of int8 are kept as uint8, 128 higher.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from weft.runtime.kernels.windows import pool_pads, resolve_pads

from ..graph import Graph, Node
from ..operators.pieces import piece_node
from .kernel import LANES, View, channels_last, plain

SPATIAL = ("conv2d", "conv2d_add", "depthwise_conv2d", "max_pool", "avg_pool", "pieces", "Conv", "ConvTranspose", "MaxPool",
           "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "DepthToSpace", "SpaceToDepth")
BIAS = 128  # what an int8 activation lies higher


@dataclass(frozen=True)
class Border:
    """Rows and columns around an image, (top, left, bottom, right), and the value that they hold, as the graph stores it."""

    around: tuple[int, int, int, int]
    value: float

    def joined(self, other: "Border") -> "Border":
        return Border(tuple(map(max, self.around, other.around)), self.value)


def images(graph: Graph, nodes: Iterable[Node]) -> set[str]:
    """The tensors that lie as images: those that a spatial operator touches, and those of four axes that reach one of these
    through operators that are not spatial and change no axis' meaning (all of whose tensors have four axes, but for
    transposes, reshapes and matrix products)."""
    nodes, found = list(nodes), set()
    four = lambda name: name and len(graph.tensors[name].shape) == 4 and name not in graph.constants  # noqa: E731
    for node in nodes:
        if node.op in SPATIAL:
            found |= {name for name in (node.inputs[0], *node.inputs[3:4], *node.outputs) if four(name)}
    carriers = [{name for name in (*node.inputs, *node.outputs) if four(name)} for node in nodes
                if node.op.lower() not in ("transpose", "reshape", "matmul", "dense", "layout")]
    grown = True
    while grown:
        grown = False
        for tensors in carriers:
            if tensors & found and not tensors <= found:
                found |= tensors
                grown = True
    return found


def reach(node: Node, graph: Graph) -> Border | None:
    """What a node's windows reach around its first input; None where that is nothing."""
    if node.op == "pieces":
        parts = [_of_piece(node, i, graph) for i in range(len(node.attrs["pieces"]))]
        parts = [part for part in parts if part]
        return None if not parts else Border(tuple(map(max, *(p.around for p in parts), (0, 0, 0, 0))), parts[0].value)
    if node.op not in _WINDOWS:
        return None
    size, out = graph.tensors[node.inputs[0]].shape[2:], graph.tensors[node.outputs[0]].shape[2:]
    kernel, pads, value = _WINDOWS[node.op](node, graph, size)
    return _reached(size, out, kernel, node.attrs.get("strides", (1, 1)), node.attrs.get("dilations", (1, 1)), pads, value)


def _of_piece(node: Node, index: int, graph: Graph) -> Border | None:
    one, piece = piece_node(node, index), node.attrs["pieces"][index]
    size, out = graph.tensors[one.inputs[0]].shape[2:], (piece["rows"][2], piece["columns"][2])
    kernel, pads, value = _WINDOWS[one.op](one, graph, size)
    return _reached(size, out, kernel, one.attrs.get("strides", (1, 1)), one.attrs.get("dilations", (1, 1)), pads, value)


def _reached(size, out, kernel, strides, dilations, pads, value) -> Border | None:
    after = [max((o - 1) * s + (k - 1) * d + 1 - before - n, 0)
             for n, o, k, s, d, before in zip(size, out, kernel, strides, dilations, pads[:2])]
    around = (max(pads[0], 0), max(pads[1], 0), *after)
    return Border(around, value) if any(around) else None


def _integer_conv(node: Node, graph: Graph, size):
    rows, columns = graph.tensors[node.inputs[1]].shape[2:]
    return (rows // node.attrs.get("parts", 1), columns), node.attrs["pads"], node.attrs["pad_value"]


def _conv(node: Node, graph: Graph, size):
    kernel = graph.tensors[node.inputs[1]].shape[2:]
    return kernel, resolve_pads(node.attrs, size, kernel), 0.0


def _pool(value: float):
    def windows(node: Node, graph: Graph, size):
        kernel = node.attrs["kernel_shape"]
        return kernel, pool_pads(node.attrs, size, kernel)[0], value
    return windows


_WINDOWS: dict[str, Callable] = {  # of a node: its kernel, pads and pad value
    **dict.fromkeys(("conv2d", "conv2d_add", "depthwise_conv2d"), _integer_conv),
    "max_pool": lambda node, graph, size: (node.attrs["kernel"], node.attrs["pads"], -128),
    "avg_pool": lambda node, graph, size: (node.attrs["kernel"], node.attrs["pads"], node.attrs["pad_value"]),
    "Conv": _conv, "MaxPool": _pool(-np.inf), "AveragePool": _pool(0.0),
}


def borders(graph: Graph, nodes: Iterable[Node]) -> tuple[dict[str, Border], list[tuple[Node, Border]]]:
    """The border of each tensor that needs one, and the nodes that read another pad value than their input has got."""
    wanted: dict[str, list[tuple[Node, Border]]] = {}
    for node in nodes:
        border = reach(node, graph)
        if border is not None:
            wanted.setdefault(node.inputs[0], []).append((node, border))
    found, others = {}, []
    for name, asked in wanted.items():
        values = [border.value for _, border in asked]
        value = max(dict.fromkeys(values), key=values.count)
        for node, border in asked:
            if border.value == value:
                found[name] = border.joined(found[name]) if name in found else border
            else:
                others.append((node, border))
    return found, others


def inner_view(graph: Graph, name: str, image: bool, border: Border | None) -> View:
    """Where a tensor lies within the program, from the begin of its memory."""
    type_ = graph.tensors[name]
    dtype = "uint8" if type_.dtype == "int8" else type_.dtype
    if image:
        return channels_last(dtype, type_.shape, border.around if border else (0, 0, 0, 0))
    return _rows(dtype, type_.shape)


def _rows(dtype: str, shape: tuple[int, ...]) -> View:
    """Row-major; where there are rows, each begins a multiple of LANES behind the one before, but short ones."""
    if len(shape) < 2 or shape[-1] % LANES == 0 or shape[-1] < LANES:
        return plain(dtype, shape)
    wide = -(-shape[-1] // LANES) * LANES
    strides = [*plain(dtype, (*shape[:-1], wide)).strides]
    return View(dtype, shape, tuple(strides), 0, (*[(0, 0)] * (len(shape) - 1), (0, wide - shape[-1])))


@dataclass(frozen=True)
class Fill:
    """A stretch of memory that is filled: `words` of 32 bits at each of offset + i * steps[0] + j * steps[1], i below
    counts[0], j below counts[1]. Offsets and steps are bytes from the begin of the tensor's memory; pattern: the word."""

    offset: int
    words: int
    counts: tuple[int, int]
    steps: tuple[int, int]
    pattern: int


def fills(view: View, border: Border, dtype: str) -> Iterator[Fill]:
    """What fills the border of an image, whose graph dtype is `dtype`: what is above it with the first row's left end, what
    is between two rows, and what is behind the last row."""
    n, _, h, w = view.shape
    (top, bottom), (left, right) = view.border[2:]
    size = view.itemsize
    image, _, row, pixel = (stride * size for stride in view.strides)
    pattern = _pattern(view.dtype, border.value + (BIAS if dtype == "int8" else 0))
    first = view.offset - top * row - left * pixel
    yield Fill(first, (top * row + left * pixel) // 4, (n, 1), (image, 0), pattern)
    yield Fill(view.offset + w * pixel, (left + right) * pixel // 4, (n, h - 1), (image, row), pattern)
    yield Fill(view.offset + (h - 1) * row + w * pixel, (right * pixel + bottom * row) // 4, (n, 1), (image, 0), pattern)


def _pattern(dtype: str, value: float) -> int:
    one = np.array(value).astype(dtype)
    return int(np.repeat(one, 4 // one.itemsize).view(np.uint32)[0])
