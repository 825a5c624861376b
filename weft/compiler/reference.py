"""The integer reference: what a network computes, operator by operator, through weft.runtime.kernels.

It runs a graph at any stage of its compilation. The accelerator's result equals that of the placed graph bit for bit.
"""

from collections.abc import Mapping

import numpy as np

from weft.isa import WeftError
from weft.runtime import kernels

from .graph import Graph, Node, TensorType


def run(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The graph's outputs by name.

    inputs: every input of the graph by name, in exactly the shape and dtype that the graph gives it.

    Raises
    ------
    WeftError: for an input that is missing or of another shape or dtype.
    """
    arrays = run_all(graph, inputs)
    return {name: arrays[name] for name in graph.outputs}


def run_all(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor of the graph by name, constants too; arguments and errors as for `run`."""
    arrays: dict[str, np.ndarray] = dict(graph.constants)
    for name in graph.inputs:
        arrays[name] = _checked(graph, name, inputs)
    for node in graph.nodes:
        operands = [arrays[name] if name else None for name in node.inputs]
        arrays.update(zip(node.outputs, evaluate(graph, node, operands), strict=True))
    return arrays


def _checked(graph: Graph, name: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    type_ = graph.tensors[name]
    if name not in inputs:
        raise WeftError(f"input '{name}'", "every input of the network must be given", f"only {sorted(inputs)}",
                        f"an array {type_}")
    array = np.asarray(inputs[name])
    if array.shape != type_.shape or array.dtype != type_.numpy:
        raise WeftError(f"input '{name}'", f"its shape and dtype must be {type_.dtype}{list(type_.shape)}",
                        f"{array.dtype}{list(array.shape)}", "to reshape or cast the array")
    return array


def evaluate(graph: Graph, node: Node, operands: list[np.ndarray | None]) -> tuple[np.ndarray, ...]:
    """The outputs of one node. An operator on real numbers dequantises and quantises as its tensors' types say."""
    if not node.op[0].isupper():
        return kernels.run(node.op, node.attrs, *operands)
    real = [_real(graph.tensors[name], array) if name else None for name, array in zip(node.inputs, operands, strict=True)]
    results = kernels.run(node.op, node.attrs, *real)
    types = [graph.tensors[name] for name in node.outputs]
    return tuple(_stored(type_, y, graph.rounding) for type_, y in zip(types, results, strict=True))


def quantisation_attrs(type_: TensorType, rounding: str | None = None) -> dict:
    """The attributes of a `quantize` to (with a rounding) or a `dequantize` from that type."""
    attrs = {"scale": type_.scale, "zero_point": type_.zero_point}
    if type_.axis is not None:
        attrs["axis"] = type_.axis
    return attrs if rounding is None else attrs | {"dtype": type_.dtype, "rounding": rounding}


def _real(type_: TensorType, array: np.ndarray) -> np.ndarray:
    if not type_.quantised:
        return array
    return kernels.run("dequantize", quantisation_attrs(type_), array)[0]


def _stored(type_: TensorType, array: np.ndarray, rounding: str) -> np.ndarray:
    if not type_.quantised:
        return array
    return kernels.run("quantize", quantisation_attrs(type_, rounding), array)[0]
