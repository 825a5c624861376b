"""Convolutions and matrix products of float32."""

from dataclasses import replace
from math import prod

import numpy as np

from weft.runtime.kernels.windows import resolve_pads

from ... import te
from ...cpu.kernel import Kernel
from ...cpu.pointwise import clamped
from ...expr import Const, Expr, as_expr
from .. import real_products
from ..real_products import Problem
from .registry import operator
from .windows import Window


class Inputs:
    """What a kernel reads: tensors where they lie, constants as they are."""

    def __init__(self, node, graph, views):
        self.node, self.graph, self.views = node, graph, views
        self.tensors: dict[str, te.Tensor] = {}
        self.constants: dict[str, np.ndarray] = {}

    def tensor(self, position: int) -> te.Tensor:
        name = self.node.inputs[position]
        if name in self.views:
            return self.tensors.setdefault(name, self.views[name].placeholder(f"x{position}"))
        return self.constant(f"${position}", self.graph.constants[name])

    def constant(self, name: str, values: np.ndarray) -> te.Tensor:
        if name not in self.tensors:
            self.constants[name] = np.ascontiguousarray(values)
            axes = {f"a{k}": n for k, n in enumerate(values.shape)}
            self.tensors[name] = te.placeholder(name[1:], axes, values.dtype.name, 0)
        return self.tensors[name]

    def shape(self, position: int) -> tuple[int, ...]:
        return self.graph.tensors[self.node.inputs[position]].shape

    def has(self, position: int) -> bool:
        return len(self.node.inputs) > position and bool(self.node.inputs[position])

    def broadcast(self, position: int, place: tuple[Expr, ...]) -> Expr:
        """The value of an input that broadcasts to the output, at a place of that."""
        shape = self.shape(position)
        place = place[len(place) - len(shape):]
        return self.tensor(position)[tuple(as_expr(0) if n == 1 else i for n, i in zip(shape, place))]

    def kernel(self, problem: Problem) -> Kernel:
        program = real_products.program(self.node.name, problem, lambda: self.tensors, self.node.outputs[0])
        return Kernel(self.node.name, program, problem.blocks, self.constants)


def all_float32(node, graph) -> str:
    others = {graph.tensors[name].dtype for name in (*node.inputs, *node.outputs) if name} - {"float32"}
    return f"the GPU multiplies float32, not {', '.join(sorted(others))}" if others else ""


def conv_supports(node, graph) -> str:
    if any(name not in graph.constants for name in node.inputs[1:] if name):
        return "its parameters are not constant"
    return all_float32(node, graph) or ("" if len(graph.tensors[node.inputs[0]].shape) == 4 else "it is no image")


@operator("Conv", supports=conv_supports)
def conv(node, graph, views):
    given, target = Inputs(node, graph, views), views[node.outputs[0]]
    w = graph.constants[node.inputs[1]]
    outputs, ci, kh, kw = w.shape
    groups, pads = node.attrs.get("group", 1), resolve_pads(node.attrs, given.shape(0)[2:], (kh, kw))
    if groups == outputs == given.shape(0)[1] > 1:
        return depthwise(node, graph, views, given, pads)
    each = outputs // groups
    x, (n, _, oh, ow) = given.tensor(0), target.shape
    packed = given.constant("$weights", w.transpose(0, 2, 3, 1).reshape(outputs, -1))
    (sh, sw), (dh, dw), (top, left) = node.attrs.get("strides", (1, 1)), node.attrs.get("dilations", (1, 1)), pads[:2]

    def seen(g, p, k):
        tap, row, column = k // ci, p // ow % oh, p % ow
        return x[p // (oh * ow), g * ci + k % ci, row * sh + tap // kw * dh - top, column * sw + tap % kw * dw - left]

    def finish(total, g, p, c):
        return clamped(node.attrs, total + given.tensor(2)[g * each + c] if given.has(2) else total)

    weight = lambda g, c, k: packed[g * each + c, k]  # noqa: E731
    at = lambda g, p, c: (p // (oh * ow), g * each + c, p // ow % oh, p % ow)  # noqa: E731
    return given.kernel(Problem(groups, n * oh * ow, each, kh * kw * ci, seen, weight, finish, target.placeholder("y"), at))


def depthwise(node, graph, views, given: Inputs, pads):
    w = graph.constants[node.inputs[1]]
    attrs = {"strides": node.attrs.get("strides", (1, 1)), "pads": pads, "dilations": node.attrs.get("dilations", (1, 1))}
    window = Window(replace(node, attrs=attrs), graph, views, w.shape[2:])

    def wide(values):
        whole = np.zeros((*values.shape[:-1], window.whole["c"]), np.float32)
        whole[..., :values.shape[-1]] = values
        return whole

    weights = given.constant("$weights", wide(w[:, 0].transpose(1, 2, 0)))
    bias = given.constant("$bias", wide(graph.constants[node.inputs[2]])) if given.has(2) else None
    finish = lambda total, p, c: clamped(node.attrs, total if bias is None else total + bias[c])  # noqa: E731
    return window.kernel_of(lambda x, w_, axes: te.sum(x * w_, axes, 0.0), finish, given, weights)


@operator("Gemm", supports=lambda node, graph: all_float32(node, graph))
def gemm(node, graph, views):
    """alpha * A' B' + beta * C; A may be [N, C, 1, 1]."""
    given, target = Inputs(node, graph, views), views[node.outputs[0]]
    a, b = given.tensor(0), given.tensor(1)
    more = (as_expr(0),) * (len(given.shape(0)) - 2)
    (rows, columns), turned = target.shape, (node.attrs.get("transA", 0), node.attrs.get("transB", 0))
    depth = given.shape(0)[0 if turned[0] else 1]
    alpha, beta = (Const(float(node.attrs.get(key, 1.0)), "float32") for key in ("alpha", "beta"))

    def finish(total, g, p, c):
        total = total if alpha.value == 1 else total * alpha
        if given.has(2) and graph.tensors[node.inputs[2]].shape:
            other = given.broadcast(2, (p, c))
            total = total + (other if beta.value == 1 else other * beta)
        return clamped(node.attrs, total)

    left = lambda g, p, k: a[(k, p, *more) if turned[0] else (p, k, *more)]  # noqa: E731
    right = lambda g, c, k: b[(c, k) if turned[1] else (k, c)]  # noqa: E731
    return given.kernel(Problem(1, rows, columns, depth, left, right, finish, target.placeholder("y"), lambda g, p, c: (p, c)))


def matmul_supports(node, graph) -> str:
    ranks = [len(graph.tensors[name].shape) for name in node.inputs]
    return all_float32(node, graph) or ("" if min(ranks) >= 2 else "a factor is a vector")


@operator("MatMul", supports=matmul_supports)
def matmul(node, graph, views):
    """Matrices beside one another; where the second factor is one matrix, all rows of the first are of one matrix."""
    given, target = Inputs(node, graph, views), views[node.outputs[0]]
    a, b, shape = given.tensor(0), given.tensor(1), target.shape
    one = len(given.shape(1)) == 2
    outer = shape[:-1] if one else shape[:-2]
    matrices, rows = (1, prod(outer)) if one else (prod(outer), shape[-2])

    def place(g, p) -> tuple[Expr, ...]:
        """The output's indices but the last."""
        return _unravelled(p, outer) if one else (*_unravelled(g, outer), p)

    def of(position: int, indices: tuple[Expr, ...], last: tuple[Expr, Expr]) -> Expr:
        """A factor's value at the output's indices of the matrix and at its own last two."""
        shape = given.shape(position)
        batch = [as_expr(0) if n == 1 else i for n, i in zip(shape[:-2], indices[len(indices) - len(shape) + 2:])]
        return (a, b)[position][(*batch, *last)]

    def left(g, p, k):
        indices = place(g, p)
        return of(0, indices[:-1], (indices[-1], k))

    def right(g, c, k):
        return of(1, place(g, as_expr(0))[:-1], (k, c))

    return given.kernel(Problem(matrices, rows, shape[-1], given.shape(0)[-1], left, right,
                                lambda total, g, p, c: clamped(node.attrs, total), target.placeholder("y"),
                                lambda g, p, c: (*place(g, p), c)))


def _unravelled(index: Expr, shape: tuple[int, ...]) -> tuple[Expr, ...]:
    """An index of several axes out of one of all of them."""
    found, behind = [], prod(shape)
    for size in shape:
        behind //= size
        at = index // behind
        found.append(at % size if found else at)
    return tuple(found)
