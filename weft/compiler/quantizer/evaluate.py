"""Runs a float graph on many samples.

Tensors of all samples are stacked along axis 0, and dropped after their last reader.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..graph import Graph, Node
from ..reference import evaluate

ELEMENTS = 1 << 22  # of the largest array that one step may make, 16 MiB

_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "Sqrt", "Exp", "Log", "Tanh", "Erf", "Min", "Max", "Relu",
                "Sigmoid", "HardSwish", "HardSigmoid", "LeakyRelu", "Clip", "Identity", "Cast", "Elu", "Celu", "Selu",
                "Gelu",
                "ThresholdedRelu", "Softplus", "Softsign", "Mish", "PRelu")
_BY_SAMPLE = ("Conv", "ConvTranspose", "DepthToSpace", "SpaceToDepth", "MaxPool",
              "AveragePool", "GlobalAveragePool", "BatchNormalization")


def apply(graph: Graph, node: Node, operands: list[np.ndarray | None]) -> tuple[np.ndarray, ...]:
    """The node's outputs on stacked samples.

    operands: constants as they are; all others [S * n, ...], where the graph gives them the shape [n, ...].
    """
    stacked = [bool(name) and name not in graph.constants for name in node.inputs]
    counts = [len(x) // graph.tensors[name].shape[0] for x, name, s in zip(operands, node.inputs, stacked, strict=True) if s]
    count = counts[0] if counts else 1
    step = max(1, ELEMENTS // working_set(graph, node)) if _at_once(graph, node) else 1
    results = []
    for start in range(0, count, step):
        part = [_part(x, graph.tensors[name].shape[0], start, step) if s else x
                for x, name, s in zip(operands, node.inputs, stacked, strict=True)]
        results.append(evaluate(graph, _resized(node) if _at_once(graph, node) else node, part))
    return results[0] if len(results) == 1 else tuple(map(np.concatenate, zip(*results, strict=True)))


def _part(x: np.ndarray, rows: int, start: int, step: int) -> np.ndarray:
    return x[start * rows:(start + step) * rows]


def working_set(graph: Graph, node: Node) -> int:
    """Elements of the largest array that the node's kernel makes for one sample."""
    size = int(np.prod(graph.tensors[node.outputs[0]].shape))
    if node.op == "Conv":
        _, _, oh, ow = graph.tensors[node.outputs[0]].shape
        n, c = graph.tensors[node.inputs[0]].shape[:2]
        return max(size, n * c * oh * ow * int(np.prod(graph.tensors[node.inputs[1]].shape[2:])))
    if "kernel_shape" in node.attrs:
        return size * int(np.prod(node.attrs["kernel_shape"]))
    return max(size, 1)


def _at_once(graph: Graph, node: Node) -> bool:
    """Whether the kernel treats the samples of axis 0 alike and apart, so that one call can take many."""
    if node.op == "Reshape":
        return "shape" in node.attrs  # samples follow each other in memory, whatever axis 0 counts
    moving = [graph.tensors[name].shape for name in (*node.inputs, *node.outputs) if name and name not in graph.constants]
    fixed = [graph.tensors[name].shape for name in node.inputs if name in graph.constants]
    rank, attrs = len(moving[0]), node.attrs
    if node.op == "Gemm":
        rows = all(len(s) < 2 or s[0] == 1 for s in fixed[1:])  # of the bias
        return not attrs.get("transA", 0) and node.inputs[1] in graph.constants and rows
    if any(not shape or shape[0] != 1 for shape in moving):
        return False
    if node.op in _ELEMENTWISE:
        return all(len(s) == rank for s in moving) and all(len(s) < rank or s[0] == 1 for s in fixed)
    if node.op == "Transpose":
        return bool(attrs.get("perm")) and attrs["perm"][0] == 0
    if node.op in ("Softmax", "Concat", "LayerNormalization"):
        return attrs.get("axis", -1) % rank != 0 and (node.op != "Concat" or not fixed)
    if node.op == "Slice":
        return "axes" in attrs and all(a % rank for a in attrs["axes"])
    if node.op == "Pad":
        return "pads" in attrs and not attrs["pads"][0] and not attrs["pads"][rank]
    return node.op in _BY_SAMPLE


def _resized(node: Node) -> Node:
    if node.op != "Reshape":
        return node
    return Node(node.name, node.op, node.inputs, node.outputs, node.attrs | {"shape": (-1, *node.attrs["shape"][1:])})


def last_readers(graph: Graph) -> dict[int, list[str]]:
    """Which tensors nobody reads after node i; the graph's outputs are never among them."""
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs if name and name not in graph.constants}
    dropped: dict[int, list[str]] = {}
    for name, i in last.items():
        if name not in graph.outputs:
            dropped.setdefault(i, []).append(name)
    return dropped


def walk(graph: Graph, samples: Mapping[str, np.ndarray], visit: Callable[[str, np.ndarray], None]) -> None:
    """Runs the graph on stacked samples; `visit` sees every input and every tensor that a node makes."""
    arrays: dict[str, np.ndarray] = dict(graph.constants)
    for name in graph.inputs:
        arrays[name] = samples[name]
        visit(name, arrays[name])
    dropped = last_readers(graph)
    for i, node in enumerate(graph.nodes):
        made = apply(graph, node, [arrays[name] if name else None for name in node.inputs])
        arrays |= zip(node.outputs, made, strict=True)
        for name, array in zip(node.outputs, made, strict=True):
            visit(name, array)
        for name in dropped.get(i, ()):
            del arrays[name]


def batches(graph: Graph, samples: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """The samples in parts that keep the arrays of a step small enough for the caches to help."""
    rows = {name: graph.tensors[name].shape[0] for name in graph.inputs}
    count = len(samples[graph.inputs[0]]) // rows[graph.inputs[0]]
    step = int(np.clip(ELEMENTS // max(working_set(graph, node) for node in graph.nodes), 1, 128))
    for start in range(0, count, step):
        yield {name: _part(samples[name], rows[name], start, step) for name in graph.inputs}
