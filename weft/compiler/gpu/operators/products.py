"""Convolutions and matrix products of int8, on tensor cores."""

import numpy as np

from weft.runtime.kernels.windows import whole_weights

from ... import te
from ...cpu import lanes
from ...cpu.kernel import Kernel
from ...cpu.pointwise import lift
from ...expr import as_expr, binary
from .. import products
from ..ending import Ending
from ..products import MMA_DEPTH, Problem, padded
from .registry import operator


def parameters(node) -> list[str]:
    """The inputs of a product that must be constant: weights, lanes and tables."""
    return [name for k, name in enumerate(node.inputs) if name and k and not (node.op == "conv2d_add" and k == 3)]


def supports(node, graph) -> str:
    if any(name not in graph.constants for name in parameters(node)):
        return "its parameters are not constant"
    if node.attrs.get("groups", 1) != 1 or "gather" in node.attrs:
        return "its groups have no kernel for GPUs"
    return lanes.why_not(graph, node.inputs[2]) or (lanes.why_not(graph, node.inputs[4]) if node.op == "conv2d_add" else "")


def lanes_of(channels: int) -> int:
    """How many values of a pixel one access of memory takes."""
    return next(n for n in (16, 8, 4, 2, 1) if channels % n == 0)


def corrections(w: np.ndarray, lifted: int) -> tuple[np.ndarray, float]:
    """(what comes to each channel's bias because inputs lie `lifted` higher, the most that a sum can be); w [O, ...]."""
    flat = w.reshape(len(w), -1).astype(np.int64)
    most = np.abs(flat).sum(1).max() * (255 if lifted else 128)
    return -lifted * flat.sum(1), float(most)


@operator("conv2d", "conv2d_add", supports=supports)
def conv2d(node, graph, views):
    """Every pixel of the output is a row; what its window sees, a vector of channels at a time, are its products."""
    name, out = node.inputs[0], node.outputs[0]
    source, target = views[name], views[out]
    parts, (o, ci, tall, kw) = node.attrs.get("parts", 1), graph.constants[node.inputs[1]].shape
    kh = tall // parts
    n, _, oh, ow = target.shape
    x = source.placeholder("image")
    channels = x.shape[1]
    lanes_, rows = lanes_of(channels), n * oh * ow
    columns, depth = target.shape[1] + target.around[1][1], tall * kw * channels // lanes_
    tile = products.choose(rows, columns)
    whole = padded(columns, tile.shape[1])
    lifted = lift(graph, name, source)
    (sh, sw), (top, left, *_), (dh, dw) = node.attrs["strides"], node.attrs["pads"], node.attrs.get("dilations", (1, 1))

    def split(p):
        """The image, row and column of an output."""
        p = binary("min", p, rows - 1)  # those that fill up the last tile are computed, and dropped
        return p // (oh * ow), p // ow % oh, p % ow

    def seen(p, k, v):
        image, row, column = split(p)
        k = binary("min", k, depth - 1)  # the weights of what fills up the last products are 0
        tap, channel = k // (channels // lanes_), k % (channels // lanes_) * lanes_ + v
        return x[image, channel, row * sh + tap // kw % kh * dh - top, column * sw + tap % kw * dw - left]

    def at(p, c):
        image, row, column = split(p)
        return image, c, row, column

    w = graph.constants[node.inputs[1]]
    packed = np.zeros((whole, tall, kw, channels), np.int8)
    packed[:o, :, :, :ci] = w.transpose(0, 2, 3, 1)
    ending = Ending(node, graph, views, whole)
    weights = _packed(ending, packed, lanes_)
    correction, largest = corrections(whole_weights(node.attrs, w), lifted)
    largest *= parts
    added = node.inputs[3] if node.op == "conv2d_add" else None
    finish = lambda total, p, c: ending.finished(total, c, at(p, c), correction, largest, 2, added)  # noqa: E731
    problem = Problem(rows, columns, depth, lanes_, seen, weights, finish, target.placeholder("y"), at)
    return _kernel(node, problem, tile, ending, {name: x})


@operator("dense", supports=supports)
def dense(node, graph, views):
    """x [N, C] or [N, C, 1, 1] by w [O, C]: every row is one of N."""
    name, out = node.inputs[0], node.outputs[0]
    source, target = views[name], views[out]
    x = source.placeholder("rows")
    one_more = (as_expr(0),) * (len(source.shape) - 2)
    channels, rows = x.shape[1], source.shape[0]
    parts, w = node.attrs.get("parts", 1), graph.constants[node.inputs[1]]
    w = w.reshape(len(w), -1, parts)
    lanes_ = lanes_of(np.gcd(channels, source.strides[0]) if rows > 1 else channels)
    columns, depth = target.shape[1] + target.around[1][1], parts * channels // lanes_
    tile = products.choose(rows, columns)
    whole = padded(columns, tile.shape[1])

    def seen(p, k, v):
        k = binary("min", k, depth - 1)
        return x[(binary("min", p, rows - 1), k % (channels // lanes_) * lanes_ + v, *one_more)]

    packed = np.zeros((whole, parts, channels), np.int8)
    packed[:w.shape[0], :, :w.shape[1]] = w.transpose(0, 2, 1)
    ending = Ending(node, graph, views, whole)
    weights = _packed(ending, packed, lanes_)
    correction, largest = corrections(w.sum(2, dtype=np.int64), lift(graph, name, source))
    at = lambda p, c: (p, c, *(as_expr(0),) * (len(target.shape) - 2))  # noqa: E731
    finish = lambda total, p, c: ending.finished(total, c, at(p, c), correction, largest * parts)  # noqa: E731
    problem = Problem(rows, columns, depth, lanes_, seen, weights, finish, target.placeholder("y"), at)
    return _kernel(node, problem, tile, ending, {name: x})


def _packed(ending: Ending, w: np.ndarray, lanes_: int) -> te.Tensor:
    """Weights [columns, ...] as [columns, whole MMA_DEPTH, lanes], 0 behind their end."""
    flat = w.reshape(len(w), -1)
    whole = np.zeros((len(w), padded(flat.shape[1], MMA_DEPTH)), np.int8)
    whole[:, :flat.shape[1]] = flat
    return ending.constant("weights", whole.reshape(len(w), -1, lanes_))


def _kernel(node, problem: Problem, tile, ending: Ending, inputs: dict) -> Kernel:
    program = products.program(node.name, problem, tile, lambda: {**inputs, **ending.tensors}, node.outputs[0])
    return Kernel(node.name, program, tile.blocks(problem.rows, problem.columns), ending.constants)

