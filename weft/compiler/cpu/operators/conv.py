"""Convolutions: `conv2d` and `conv2d_add` of int8, exact, and `Conv` of float32."""

from collections.abc import Mapping

import numpy as np

from weft.llvm.machine import Form
from weft.runtime.kernels.windows import resolve_pads, whole_weights

from ... import te
from ...expr import Expr
from ...graph import Graph, Node
from .. import contraction, ending, winograd
from ..contraction import Contraction
from ..kernel import LANES, Kernel, View
from ..layout import BIAS
from ..pack import packed
from . import depthwise
from .registry import operator


def supports(node: Node, graph: Graph) -> str:
    if "gather" in node.attrs:
        return "its input is gathered"
    computed = (0, 3) if node.op == "conv2d_add" else (0,)
    return ending.why_not(graph, [name for k, name in enumerate(node.inputs) if k not in computed])


@operator("conv2d", "conv2d_add", supports=supports)
def conv2d(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> Kernel:
    """uint8 images, as layout.py lays them."""
    x, y, w = views[node.inputs[0]], views[node.outputs[0]], graph.constants[node.inputs[1]]
    parts, attrs = node.attrs.get("parts", 1), node.attrs
    c = Contraction(x, y, (w.shape[2] // parts, w.shape[3]), tuple(attrs.get("strides", (1, 1))),
                    tuple(attrs.get("pads", (0, 0))[:2]),
                    tuple(attrs.get("dilations", (1, 1))), attrs.get("groups", 1), parts)
    return of_bytes(node, graph, views, form, c, w)


def of_bytes(node: Node, graph: Graph, views: Mapping[str, View], form: Form, c: Contraction, w: np.ndarray) -> Kernel:
    """A kernel of exact sums and their ending. w: int8 [outputs, inputs, parts * rows, columns]."""
    flat = c.flattened()
    if node.op == "conv2d_add" and flat is not c:
        row = contraction.one_row(views[node.inputs[3]])
        flat, views = (c, views) if row is None else (flat, {**views, node.inputs[3]: row})
    whole = whole_weights({"parts": c.parts}, w).reshape(len(w), -1).astype(np.int64)
    after = ending.ending(node, graph, views, form, BIAS * whole.sum(1), BIAS * np.abs(whole).sum(1))
    others = dict(after.tensors)
    d = contraction.define(flat, others.pop("$bias"), others, after.apply)
    program, turns = contraction.program(d, form, node.name, {"x": node.inputs[0], "y": node.outputs[0]})
    return Kernel(node.name, program, turns, {"$weights": packed(w, flat), **after.constants})


def real_supports(node: Node, graph: Graph) -> str:
    if len(graph.tensors[node.inputs[0]].shape) != 4 or graph.tensors[node.inputs[0]].dtype != "float32":
        return "it is no image of float32"
    return ending.why_not(graph, node.inputs[1:])


@operator("Conv", supports=real_supports)
def conv(node: Node, graph: Graph, views: Mapping[str, View], form: Form) -> Kernel:
    """float32 images; the order of the sums is not NumPy's."""
    x, w, attrs = views[node.inputs[0]], graph.constants[node.inputs[1]], node.attrs
    y, pads, groups = views[node.outputs[0]], resolve_pads(attrs, x.shape[2:], w.shape[2:]), attrs.get("group", 1)
    window = (w.shape[2:], tuple(attrs.get("strides", (1, 1))), pads[:2], tuple(attrs.get("dilations", (1, 1))))
    bias = graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else np.zeros(len(w), np.float32)
    if groups == len(w) == x.shape[1] and groups > 1:
        d, long = depthwise.Depthwise(x, y, *window), whole_vectors(bias)
        begin = te.placeholder("bias", {"c": len(long)}, "float32", 0)
        program, turns = depthwise.lowered(d, form, node, begin, {}, lambda acc, point: clamped(node, acc))
        return Kernel(node.name, program, turns, {"$weights": d.packed(w), "$bias": long})
    c = Contraction(x, y, *window, groups)
    if winograd.pays(c, form):
        long = whole_vectors(bias)
        begin = te.placeholder("bias", {"c": len(long)}, "float32", 0)
        program, turns = winograd.program(c, begin, lambda acc, point: clamped(node, acc), form, node.name, node.inputs[0],
                                          node.outputs[0])
        return Kernel(node.name, program, turns, {"$weights": winograd.packed(w, c), "$bias": long})
    return of_reals(node, form, c, w, bias)


def of_reals(node: Node, form: Form, c: Contraction, w: np.ndarray, bias: np.ndarray) -> Kernel:
    """A kernel of float32 sums, clamped as the node's attributes say. w: [outputs, inputs, rows, columns]."""
    flat, long = c.flattened(), whole_vectors(bias)
    begin = te.placeholder("bias", {"c": len(long)}, "float32", 0)
    d = contraction.define(flat, begin, {}, lambda acc, point: clamped(node, acc))
    program, turns = contraction.program(d, form, node.name, {"x": node.inputs[0], "y": node.outputs[0]})
    return Kernel(node.name, program, turns, {"$weights": packed(np.asarray(w, np.float32), flat), "$bias": long})


def whole_vectors(values: np.ndarray) -> np.ndarray:
    """With zeros behind."""
    return np.concatenate([values, np.zeros(-len(values) % LANES, values.dtype)])


def clamped(node: Node, value: Expr) -> Expr:
    """Within the node's minimum and maximum, where it has them."""
    low, high = node.attrs.get("minimum"), node.attrs.get("maximum")
    value = value if low is None or low == -np.inf else np.maximum(value, low)
    return value if high is None or high == np.inf else np.minimum(value, high)
