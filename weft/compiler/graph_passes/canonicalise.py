"""Few forms for many: each operator in the one form that the later passes look for.

    Flatten, Squeeze, Unsqueeze, Reshape(x, shape)  -> Reshape(x) shape=
    Slice(x, starts, ...)                           -> Slice(x) starts= ends= axes= steps=
    Split(x)                                        -> Slice(x) for each part
    Pad(x, pads, value)                             -> Pad(x) pads= value=
    Resize(x, roi, scales, sizes)                   -> Resize(x) scales= sizes=
    Clip(x, low, high), Relu(x)                     -> Clip(x) min= max=
    ReduceMean(x), ReduceMax(x) over H and W        -> Reshape(GlobalAveragePool(x)), Reshape(MaxPool(x))
    GlobalMaxPool(x)                                -> MaxPool(x)
    MatMul(x, w) of matrices                        -> Gemm(x, w)
    Add(Gemm, Conv or ConvTranspose, constant)      -> the same with a bias, if it had none
    Identity(x) that changes nothing                -> x
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config, WeftError

from ..graph import Graph, Node
from ..reference import evaluate
from .rewrite import bypass, only_reader, rename_output


@dataclass(frozen=True)
class Canonicalise:
    name: ClassVar[str] = "canonicalise"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in list(graph.nodes):
            if node.op in _FORMS:
                _FORMS[node.op](graph, node)


def _constant(graph: Graph, node: Node, index: int) -> np.ndarray | None:
    """The value of an optional input that must be constant; None where it is absent."""
    if index >= len(node.inputs) or not node.inputs[index]:
        return None
    name = node.inputs[index]
    if name in graph.constants:
        return graph.constants[name]
    maker = graph.producers().get(name)
    if maker is not None and maker.op == "dequantize" and maker.inputs[0] in graph.constants:
        return evaluate(graph, maker, [graph.constants[maker.inputs[0]]])[0]
    raise WeftError(node.subject, "its parameters must be constants", f"'{name}', which is computed",
                    "to export the model with static shapes")


def _whole(value: np.ndarray) -> tuple[int, ...]:
    return tuple(int(v) for v in np.asarray(value).reshape(-1))


def _reshape(graph: Graph, node: Node) -> None:
    node.op, node.inputs = "Reshape", node.inputs[:1]
    node.attrs = {"shape": graph.tensors[node.outputs[0]].shape}


def _slice(graph: Graph, node: Node) -> None:
    if len(node.inputs) > 1:
        starts, ends, axes, steps = (_constant(graph, node, i) for i in (1, 2, 3, 4))
        axes = np.arange(len(starts)) if axes is None else axes
        steps = np.ones(len(starts), np.int64) if steps is None else steps
        node.attrs = dict(zip(("starts", "ends", "axes", "steps"), map(_whole, (starts, ends, axes, steps)), strict=True))
        node.inputs = node.inputs[:1]


def _split(graph: Graph, node: Node) -> None:
    axis, first, made = node.attrs.get("axis", 0) % len(graph.tensors[node.inputs[0]].shape), 0, []
    for index, output in enumerate(node.outputs):
        last = first + graph.tensors[output].shape[axis]
        attrs = {"starts": (first,), "ends": (last,), "axes": (axis,), "steps": (1,)}
        made.append(Node(f"{node.name}.{index}", "Slice", node.inputs[:1], [output], attrs))
        first = last
    at = graph.nodes.index(node)
    graph.nodes[at:at + 1] = made


def _pad(graph: Graph, node: Node) -> None:
    rank = len(graph.tensors[node.inputs[0]].shape)
    pads, value, axes = (_constant(graph, node, i) for i in (1, 2, 3))
    pads = _whole(node.attrs["pads"] if pads is None else pads)
    value = node.attrs.get("value", 0.0) if value is None else value
    whole = [0] * 2 * rank
    for i, axis in enumerate(range(rank) if axes is None else _whole(axes)):
        whole[axis % rank], whole[axis % rank + rank] = pads[i], pads[i + len(pads) // 2]
    if min(whole) < 0:
        raise WeftError(node.subject, "pads must not be negative", str(tuple(pads)), "Slice in place of negative pads")
    node.inputs, node.attrs = node.inputs[:1], {"pads": tuple(whole), "value": float(np.asarray(value).reshape(-1)[0])}


def _resize(graph: Graph, node: Node) -> None:
    scales, sizes = (_constant(graph, node, i) for i in (2, 3))
    if scales is not None and scales.size:
        node.attrs["scales"] = tuple(map(float, scales))
    if sizes is not None and sizes.size:
        node.attrs["sizes"] = _whole(sizes)
    node.inputs = node.inputs[:1]


def _clip(graph: Graph, node: Node) -> None:
    for key, index in (("min", 1), ("max", 2)):
        limit = _constant(graph, node, index)
        if limit is not None:
            node.attrs[key] = float(limit.reshape(-1)[0])
    node.inputs = node.inputs[:1]


def _relu(graph: Graph, node: Node) -> None:
    node.op, node.attrs = "Clip", node.attrs | {"min": 0.0}


def _global_max_pool(graph: Graph, node: Node) -> None:
    shape = graph.tensors[node.inputs[0]].shape
    if len(shape) == 4:
        node.op, node.attrs = "MaxPool", {"kernel_shape": shape[2:]}


def _reduce(graph: Graph, node: Node) -> None:
    """ReduceMean and ReduceMax."""
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    axes = _constant(graph, node, 1)
    axes = node.attrs.get("axes") if axes is None else _whole(axes)
    if axes is not None:
        node.attrs, node.inputs = node.attrs | {"axes": tuple(axes)}, node.inputs[:1]
    if axes is None or len(source.shape) != 4 or sorted(a % 4 for a in axes) != [2, 3]:
        return
    keep = {k: v for k, v in node.attrs.items() if k in ("minimum", "maximum")}
    mean = node.op == "ReduceMean"
    node.op, node.attrs = ("GlobalAveragePool", keep) if mean else ("MaxPool", keep | {"kernel_shape": source.shape[2:]})
    if len(target.shape) == 4:
        return
    pooled = graph.add_tensor(f"{node.outputs[0]}.pooled", dataclasses.replace(target, shape=(*target.shape, 1, 1)))
    after = Node(f"{node.name}.reshape", "Reshape", [pooled], node.outputs, {"shape": target.shape})
    node.outputs = [pooled]
    graph.nodes.insert(graph.nodes.index(node) + 1, after)


def _matmul(graph: Graph, node: Node) -> None:
    if all(len(graph.tensors[name].shape) == 2 for name in node.inputs):
        node.op, node.attrs = "Gemm", {k: v for k, v in node.attrs.items() if k in ("minimum", "maximum")}


def _add(graph: Graph, node: Node) -> None:
    """Add after a Gemm or Conv that is its only user: a bias, where it is constant and one number an output channel."""
    if node.attrs or graph.tensors[node.outputs[0]].quantised:
        return
    makers = graph.producers()
    for product, other in (node.inputs, node.inputs[::-1]):
        maker, shape = makers.get(product), graph.tensors[other].shape
        if maker is None or maker.op not in ("Gemm", "Conv", "ConvTranspose") or len(maker.inputs) != 2:
            continue
        if only_reader(graph, product) is None:
            continue
        channels = graph.tensors[product].shape[1]
        per_channel = (channels,) + (1,) * (len(graph.tensors[product].shape) - 2)
        if shape != per_channel and shape != (1, *per_channel) or graph.tensors[product].quantised:
            continue
        bias = _bias(graph, makers, other, channels)
        if bias is not None:
            maker.inputs = [*maker.inputs, bias]
            graph.nodes.remove(node)
            rename_output(graph, maker, product, node.outputs[0])
            return


def _bias(graph: Graph, makers: dict[str, Node], name: str, channels: int) -> str | None:
    if name in graph.constants:
        return graph.add_constant(f"{name}.bias", graph.constants[name].reshape(channels))
    maker = makers.get(name)
    if maker is not None and maker.op == "dequantize" and maker.inputs[0] in graph.constants:
        (value,) = evaluate(graph, maker, [graph.constants[maker.inputs[0]]])
        return graph.add_constant(f"{name}.bias", value.reshape(channels))
    return None


def _identity(graph: Graph, node: Node) -> None:
    if graph.tensors[node.inputs[0]].quantisation == graph.tensors[node.outputs[0]].quantisation:
        bypass(graph, node)


_FORMS: dict[str, Callable[[Graph, Node], None]] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape), "Slice": _slice, "Split": _split,
    "Resize": _resize, "Pad": _pad, "Clip": _clip, "Relu": _relu, "ReduceMean": _reduce, "ReduceMax": _reduce,
    "GlobalMaxPool": _global_max_pool,
    "MatMul": _matmul, "Add": _add, "Identity": _identity,
}
