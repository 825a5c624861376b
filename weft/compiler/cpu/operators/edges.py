"""Between real and stored numbers: what stands at a network's edge, exact as weft.runtime.kernels defines it."""

import numpy as np

from ...expr import Select, call
from ...graph import Graph, Node
from .. import pointwise
from ..pointwise import lift, stored
from .registry import operator

BYTES = ("int8", "uint8")


def along(value, dtype: str, rank: int, axis: int | None) -> np.ndarray:
    """A scale or zero point as an array that broadcasts: one number, or one an index of `axis`."""
    values = np.asarray(value, dtype)
    return values.reshape([-1 if k == axis % rank else 1 for k in range(rank)]) if values.ndim else values


def _becomes_bytes(node: Node, graph: Graph) -> str:
    dtype, source = node.attrs["dtype"], graph.tensors[node.inputs[0]].dtype
    if dtype not in BYTES or source != "float32":
        return f"the CPU quantises float32 to int8 and uint8, not {source} to {dtype}"
    return ""


@operator("quantize", supports=_becomes_bytes)
def quantize(node, graph, views, form):
    """A division, a rounding and a clamp."""
    x, out = node.inputs[0], node.outputs[0]
    rank, axis = len(graph.tensors[x].shape), node.attrs.get("axis")
    scale = along(node.attrs["scale"], "float32", rank, axis)
    zero_point = along(node.attrs["zero_point"], "float32", rank, axis)
    info, even = np.iinfo(node.attrs["dtype"]), node.attrs.get("rounding", "half_even") == "half_even"

    def define(value, scale, zero_point):
        y = value / scale
        whole = call("round", y) if even else Select(y.lt(0.0), y - 0.5, y + 0.5)
        near = np.minimum(np.maximum(whole, zero_point * -1.0 + float(info.min)), zero_point * -1.0 + float(info.max))
        whole = near.astype("int32")  # which drops what is behind the point
        return whole + zero_point.astype("int32") + lift(graph, out, views[out])

    return pointwise.build(node, graph, views, [x, scale, zero_point], define)


def _is_bytes(node: Node, graph: Graph) -> str:
    source = graph.tensors[node.inputs[0]].dtype
    return "" if source in BYTES else f"the CPU dequantises int8 and uint8, not {source}"


@operator("dequantize", supports=_is_bytes)
def dequantize(node, graph, views, form):
    """A subtraction and a multiplication."""
    x = node.inputs[0]
    rank, axis = len(graph.tensors[x].shape), node.attrs.get("axis")
    scale = along(node.attrs["scale"], "float32", rank, axis)
    zero_point = along(node.attrs["zero_point"], "int32", rank, axis)

    def define(value, scale, zero_point):
        return (stored(value, lift(graph, x, views[x])) - zero_point).astype("float32") * scale

    return pointwise.build(node, graph, views, [x, scale, zero_point], define)


@operator("uint8_to_int8", "int8_to_uint8")
def flip(node, graph, views, form):
    """128 less, or more."""
    x, out = node.inputs[0], node.outputs[0]
    step = -128 if node.op == "uint8_to_int8" else 128

    def define(value):
        return stored(value, lift(graph, x, views[x])) + (step + lift(graph, out, views[out]))

    return pointwise.build(node, graph, views, [x], define)


def _is_cast(node: Node, graph: Graph) -> str:
    source, target = graph.tensors[node.inputs[0]].dtype, graph.tensors[node.outputs[0]].dtype
    known = source in (*BYTES, "int32", "float32") and target in ("int32", "float32")
    return "" if known else f"the CPU casts bytes, int32 and float32 to int32 and float32, not {source} to {target}"


@operator("Cast", supports=_is_cast)
def cast(node, graph, views, form):
    """Whole numbers out of real ones are towards zero."""
    x, out = node.inputs[0], node.outputs[0]
    whole = graph.tensors[x].dtype in BYTES

    def define(value):
        value = stored(value, lift(graph, x, views[x])) if whole else value
        return pointwise.clamped(node.attrs, value.astype(views[out].dtype)) if views[out].dtype == "float32" else value

    return pointwise.build(node, graph, views, [x], define)
