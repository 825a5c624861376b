"""Do the shapes that a file states fit its operators? TFLite states every shape and nobody else checks them."""

import math
from collections.abc import Callable

import numpy as np

from weft.isa import WeftError
from weft.runtime.kernels.shape import slice_ranges
from weft.runtime.kernels.windows import resolve_pads, transposed_pads

from ..graph import Graph, Node

Shape = tuple[int, ...]


def check_shapes(graph: Graph) -> None:
    """WeftError for the first node whose output cannot have the shape that its type says."""
    for node in graph.nodes:
        inputs = [graph.tensors[name].shape for name in node.inputs]
        stated = graph.tensors[node.outputs[0]].shape
        found = _RULES.get(node.op, _same)(node, inputs, stated)
        if found != stated:
            rule = f"its output must have the shape that its inputs give, {_text(found)}"
            raise WeftError(node.subject, rule, str(stated),
                            "to convert or download the model again")


def _text(shape: Shape | None) -> str:
    return "but they do not fit together" if shape is None else str(shape)


def _same(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    return inputs[0]


def _windows(node: Node, size: Shape, kernel: Shape) -> Shape | None:
    """Output height and width."""
    strides, dilations = node.attrs.get("strides", (1, 1)), node.attrs.get("dilations", (1, 1))
    if min(*strides, *dilations, *kernel) < 1:
        return None
    pads = resolve_pads(node.attrs, size, kernel)
    spans = [n + before + after - (k - 1) * d - 1 for n, before, after, k, d in
             zip(size, pads[:2], pads[2:], kernel, dilations, strict=True)]
    return None if min(spans) < 0 else tuple(span // s + 1 for span, s in zip(spans, strides, strict=True))


def _conv(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    (n, c, *size), (o, each, *kernel) = inputs[:2]
    groups = node.attrs["group"]
    out = _windows(node, tuple(size), tuple(kernel))
    bias = inputs[2] if len(inputs) > 2 else (o,)
    if out is None or groups < 1 or each * groups != c or o % groups or bias not in ((o,), (1,)):
        return None
    return n, o, *out


def _conv_transpose(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    (n, c, *size), (rows, o, *kernel) = inputs[:2]
    if c != rows or min(node.attrs["strides"]) < 1:
        return None
    top, left, bottom, right = transposed_pads(node.attrs, size, kernel)
    out = [(m - 1) * s + k - b - a
           for m, s, k, b, a in zip(size, node.attrs["strides"], kernel, (top, left), (bottom, right))]
    return n, o, *out


def _gemm(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    (n, depth), (o, columns) = inputs[:2]
    bias = inputs[2] if len(inputs) > 2 else (o,)
    return (n, o) if depth == columns and bias in ((o,), (1,)) else None


def _pool(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    n, c, *size = inputs[0]
    out = _windows(node, tuple(size), node.attrs["kernel_shape"])
    return None if out is None else (n, c, *out)


def _broadcast(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(*inputs)
    except ValueError:
        return None


def _reshape(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    return stated if math.prod(inputs[0]) == math.prod(stated) else None


def _transpose(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    perm = node.attrs["perm"]
    return tuple(inputs[0][p] for p in perm) if sorted(perm) == list(range(len(inputs[0]))) else None


def _pad(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    pads, rank = node.attrs["pads"], len(inputs[0])
    if len(pads) != 2 * rank or min(pads) < 0:
        return None
    return tuple(n + a + b for n, a, b in zip(inputs[0], pads[:rank], pads[rank:], strict=True))


def _concat(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    axis = node.attrs["axis"]
    rest = {(*shape[:axis], *shape[axis + 1:]) for shape in inputs}
    if len(rest) != 1 or axis >= len(inputs[0]):
        return None
    return *inputs[0][:axis], sum(shape[axis] for shape in inputs), *inputs[0][axis + 1:]


def _reduce(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    axes, keep = node.attrs["axes"], node.attrs["keepdims"]
    return tuple(1 if i in axes else n for i, n in enumerate(inputs[0]) if keep or i not in axes)


def _slice(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    if 0 in node.attrs["steps"]:
        return None
    return tuple(len(r) for r in slice_ranges(inputs[0], *(node.attrs[k] for k in ("starts", "ends", "axes", "steps"))))


def _gather(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    axis = node.attrs["axis"]
    return *inputs[0][:axis], *inputs[1], *inputs[0][axis + 1:]


def _resize(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    return (*inputs[0][:2], *node.attrs["sizes"][2:])


def _to_space(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    (n, c, h, w), b = inputs[0], node.attrs["blocksize"]
    return (n, c // b ** 2, h * b, w * b) if b > 0 and c % b ** 2 == 0 else None


def _to_depth(node: Node, inputs: list[Shape], stated: Shape) -> Shape | None:
    (n, c, h, w), b = inputs[0], node.attrs["blocksize"]
    return (n, c * b ** 2, h // b, w // b) if b > 0 and h % b == w % b == 0 else None


_RULES: dict[str, Callable[[Node, list[Shape], Shape], Shape | None]] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "AveragePool": _pool,
    "MaxPool": _pool, "Reshape": _reshape, "Transpose": _transpose,
    "Pad": _pad, "Resize": _resize, "DepthToSpace": _to_space, "SpaceToDepth": _to_depth,
    "Concat": _concat, "ReduceMean": _reduce, "ReduceMax": _reduce, "Slice": _slice, "Gather": _gather,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"), _broadcast),
}
