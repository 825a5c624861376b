"""Matrix products: `dense` of int8, exact; `Gemm` and `MatMul` of float32, whose second factor may be computed.

All are contractions whose rows are the columns of an image of one row.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from weft.isa import WeftError
from weft.llvm.machine import Form

from ... import te
from ...expr import Expr
from ...graph import Graph, Node
from .. import contraction, ending
from ..contraction import Contraction
from ..kernel import Kernel, View
from .conv import clamped, of_bytes, of_reals, whole_vectors
from .registry import operator

NOTHING = (0, 0)


def as_image(view: View, subject: str, transposed: bool = False) -> View:
    """[.., rows, channels] (or transposed) as [n, channels, 1, rows], n all axes before; an image of one pixel as rows of
    channels."""
    if len(view.shape) == 4 and view.shape[2:] == (1, 1):
        view = View(view.dtype, view.shape[:2], view.strides[:2], view.offset, view.around[:2])
    outer, last = range(len(view.shape) - 2), len(view.shape) - 2
    rows, channels = (last + 1, last) if transposed else (last, last + 1)
    n, step = 1, 0
    for axis in reversed(outer):
        if view.shape[axis] > 1:
            if n > 1 and view.strides[axis] != n * step:
                raise WeftError(subject, "axes before the matrices follow one another in memory", str(view), "a copy")
            step = step if n > 1 else view.strides[axis]
            n *= view.shape[axis]
    strides = (step, view.strides[channels], 0, view.strides[rows])
    return View(view.dtype, (n, view.shape[channels], 1, view.shape[rows]), strides, view.offset,
                (NOTHING, view.around[channels], NOTHING, NOTHING))


def spread(image: View, n: int) -> View:
    """An image that all n share, or n of them."""
    return image if image.shape[0] == n else replace(image, shape=(n, *image.shape[1:]), strides=(0, *image.strides[1:]))


def supports(node: Node, graph: Graph) -> str:
    return ending.why_not(graph, node.inputs[1:])


@operator("dense", supports=supports)
def dense(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> Kernel:
    w, parts = graph.constants[node.inputs[1]], node.attrs.get("parts", 1)
    x, y = (as_image(views[name], node.subject) for name in (node.inputs[0], node.outputs[0]))
    return of_bytes(node, graph, views, form, Contraction(x, y, parts=parts), w.reshape(*w.shape[:2], parts, 1))


def real_supports(node: Node, graph: Graph) -> str:
    tensors = [graph.tensors[name] for name in node.inputs if name]
    if any(t.dtype != "float32" for t in tensors):
        return "it is not of float32"
    a, b = tensors[0].shape, tensors[1].shape
    if len(a) < 2 or len(b) < 2:
        return "a factor is no matrix"
    if node.inputs[0] in graph.constants:
        return "its first factor is constant"
    n, shared = prod(graph.tensors[node.outputs[0]].shape[:-2]), (prod(a[:-2]), prod(b[:-2]))
    return "" if node.op == "Gemm" or all(k in (1, n) for k in shared) else "its matrices are shared in several ways"


@operator("MatMul", supports=real_supports)
def matmul(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> Kernel:
    b = graph.constants.get(node.inputs[1])
    y = as_image(views[node.outputs[0]], node.subject)
    x = spread(as_image(views[node.inputs[0]], node.subject), y.shape[0])
    if b is not None and prod(b.shape[:-2]) == 1:
        w = b.reshape(b.shape[-2:]).T
        return of_reals(node, form, Contraction(x, y), w[:, :, None, None], np.zeros(len(w), np.float32))
    return computed(node, graph, views, form, x, y, False, lambda acc, point: acc, {})


@operator("Gemm", supports=real_supports)
def gemm(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> Kernel:
    attrs, added = node.attrs, node.inputs[2] if len(node.inputs) > 2 else ""
    y = as_image(views[node.outputs[0]], node.subject)
    x = as_image(views[node.inputs[0]], node.subject, bool(attrs.get("transA", 0)))
    b, alpha, beta = graph.constants.get(node.inputs[1]), float(attrs.get("alpha", 1.0)), float(attrs.get("beta", 1.0))
    row = np.zeros(y.shape[1], np.float32)
    if b is not None and alpha == 1 and (not added or added in graph.constants and _is_row(graph.constants[added])):
        w = b if attrs.get("transB", 0) else b.T
        row = row + np.float32(beta) * graph.constants[added].reshape(-1) if added else row
        return of_reals(node, form, Contraction(x, y), w[:, :, None, None], row.astype(np.float32))
    others, plus = _added(node, graph, views, added, y) if added else ({}, None)

    def apply(acc: Expr, point: tuple[Expr, ...]) -> Expr:
        value = acc * alpha if alpha != 1 else acc
        return value if plus is None else value + plus(point) * beta
    return computed(node, graph, views, form, x, y, bool(attrs.get("transB", 0)), apply, others)


def _is_row(c: np.ndarray) -> bool:
    return prod(c.shape[:-1]) == 1


def _added(node: Node, graph: Graph, views: Mapping[str, View], name: str, y: View):
    """(tensors, its value at a point) of what Gemm adds: a matrix, or a row, a column or a number of it."""
    shape = graph.tensors[name].shape
    shape = (1,) * (2 - len(shape)) + tuple(shape)
    strides = views[name].strides if name in views else (shape[1], 1)
    strides = (0,) * (2 - len(strides)) + tuple(strides)
    at = [stride if size > 1 else 0 for stride, size in zip(strides, shape)]
    c = te.placeholder("added", {"row": y.shape[3], "c": y.shape[1]}, "float32", 0, tuple(at))
    return {name: c}, lambda point: c[point[3], point[1]]


def computed(node: Node, graph: Graph, views: Mapping[str, View], form: Form, x: View, y: View, transposed: bool, apply,
             others) -> Kernel:
    """A product by a matrix that is read as it lies; a constant one, too, where each n has its own."""
    name = node.inputs[1]
    constants = {key: graph.constants[key] for key in (name, *others) if key in graph.constants}
    plain = View("float32", (b := graph.tensors[name].shape), tuple(prod(b[k + 1:]) for k in range(len(b))))
    w = spread(as_image(views.get(name, plain), node.subject, transposed), y.shape[0])
    weights = View("float32", (w.shape[0], w.shape[3], w.shape[1]), (w.strides[0], w.strides[3], w.strides[1]), 0,
                   (NOTHING, NOTHING, w.around[1]))
    zeros = whole_vectors(np.zeros(y.shape[1], np.float32))
    bias = te.placeholder("bias", {"c": len(zeros)}, "float32", 0)
    d = contraction.define(Contraction(x, y, weights=weights), bias, others,
                           lambda acc, point: clamped(node, apply(acc, point)))
    program, turns = contraction.program(d, form, node.name, {"x": node.inputs[0], "w": name, "y": node.outputs[0]})
    return Kernel(node.name, program, turns, {"$bias": zeros, **constants})
