"""The float network in the form that quantisation works on: batch norms folded, activations fused, weights [O, ...].

After `prepare` every Conv, ConvTranspose and Gemm has constant weights and a bias of its own, Gemm is x @ w.T + b, and Relu
and Clip are attributes `minimum` and `maximum` of what they follow.
"""

import math

import numpy as np

from weft.isa import Config, WeftError

from ..graph import Graph, Node, TensorType
from ..graph_passes import Canonicalise, FoldConstants, FuseActivations
from ..graph_passes.rewrite import only_reader, rename_output
from .weights import along


def prepare(graph: Graph) -> Graph:
    """A graph that computes what `graph` does, up to float32's rounding; `graph` is left as it was.

    Raises
    ------
    WeftError: where the network is already quantised, has inputs that are not float32, or weights that are not finite.
    """
    check_float(graph)
    graph, config = graph.copy(), Config()
    for step in (FoldConstants(), Canonicalise()):
        step(graph, config)
    graph.prune()
    _matmuls_as_gemms(graph)
    _standard_gemms(graph)
    fold_batch_norms(graph)
    FuseActivations()(graph, config)
    _own_parameters(graph)
    _unique_names(graph)
    graph.prune()
    graph.validate()
    _check_ranks(graph)
    return graph


def check_float(graph: Graph) -> None:
    """WeftError for a network that is quantised, in part or whole, or that holds NaN or infinity."""
    for node in graph.nodes:
        types = [graph.tensors[name] for name in (*node.inputs, *node.outputs) if name]
        if node.op in ("quantize", "dequantize") or any(t.quantised for t in types):
            raise WeftError(f"model {graph.name}", "it must be a float network", f"{node.subject}, already quantised",
                            "the float model that it was made from")
    for name in graph.inputs:
        if graph.tensors[name].dtype != "float32":
            raise WeftError(f"input '{name}'", "an input must be float32", graph.tensors[name].dtype,
                            "to export the model with float inputs")
    for name, value in graph.constants.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all() and any(name in n.inputs for n in graph.nodes):
            raise WeftError(f"constant '{name}'", "weights must be finite", "NaN or infinity",
                            "to train or export the model again")


def _check_ranks(graph: Graph) -> None:
    """Samples are stacked along axis 0, so there must be one."""
    for node in graph.nodes:
        if not graph.tensors[node.outputs[0]].shape:
            raise WeftError(node.subject, "its output must have an axis", "a single number",
                            "to keep the reduced axes, keepdims = 1")
    for name in graph.inputs:
        if not graph.tensors[name].shape:
            raise WeftError(f"input '{name}'", "an input must have an axis", "a single number", "an input of shape [1]")


def _constant(graph: Graph, node: Node, index: int) -> np.ndarray | None:
    return graph.constants.get(node.inputs[index]) if index < len(node.inputs) else None


def _matmuls_as_gemms(graph: Graph) -> None:
    """MatMul(x [..., C], constant [C, O]), and the Add of a constant [O] after it, -> Reshape(Gemm(Reshape(x)))."""
    for node in list(graph.nodes):
        weight = _constant(graph, node, 1)
        if node.op != "MatMul" or weight is None or weight.ndim != 2 or node.inputs[0] in graph.constants:
            continue
        output, inputs = node.outputs[0], [node.inputs[1]]
        after = only_reader(graph, output)
        bias = [] if after is None or after.op != "Add" else [
            n for n in after.inputs if n in graph.constants and graph.constants[n].shape == weight.shape[1:]]
        if bias:
            inputs, output = [*inputs, *bias], after.outputs[0]
            graph.nodes.remove(after)
        shape = graph.tensors[output].shape
        rows = math.prod(shape[:-1])
        flat = graph.add_tensor(f"{output}.rows", TensorType((rows, len(weight)), "float32"))
        made = graph.add_tensor(f"{output}.product", TensorType((rows, shape[-1]), "float32"))
        index = graph.nodes.index(node)
        graph.nodes[index:index + 1] = [
            Node(f"{node.name}.rows", "Reshape", [node.inputs[0]], [flat], {"shape": (rows, len(weight))}),
            Node(node.name, "Gemm", [flat, *inputs], [made]),
            Node(f"{node.name}.shape", "Reshape", [made], [output], {"shape": shape})]


def _standard_gemms(graph: Graph) -> None:
    """Gemm with constant weights [O, C] and alpha and beta 1."""
    for node in graph.nodes:
        weight = _constant(graph, node, 1)
        if node.op != "Gemm" or weight is None or node.attrs.get("transA", 0):
            continue
        weight = weight if node.attrs.get("transB", 0) else weight.T
        weight = weight * np.float32(node.attrs.get("alpha", 1.0))
        inputs = [node.inputs[0], graph.add_constant(f"{node.inputs[1]}.rows", weight)]
        if len(node.inputs) > 2:
            bias = _constant(graph, node, 2)
            if bias is None or bias.size not in (1, len(weight)):
                continue
            bias = np.broadcast_to(bias.reshape(-1) * np.float32(node.attrs.get("beta", 1.0)), len(weight))
            inputs.append(graph.add_constant(f"{node.inputs[2]}.rows", bias))
        limits = {k: v for k, v in node.attrs.items() if k in ("minimum", "maximum")}
        node.inputs, node.attrs = inputs, {"transB": 1} | limits


def fold_batch_norms(graph: Graph, as_conv: bool = True) -> None:
    """BatchNormalization, and Mul and Add of constants a channel, into the product before them.

    as_conv: a BatchNormalization of maps that has none before it becomes a depthwise Conv of 1 by 1.
    """
    for node in list(graph.nodes):
        found = _affine(graph, node)
        if found is None:
            continue
        source, factor, offset = found
        maker = graph.producers().get(source)
        if maker is not None and is_product(graph, maker) and only_reader(graph, source) is node \
                and not {"minimum", "maximum"} & set(maker.attrs):
            _scale_outputs(graph, maker, factor, offset)
            graph.nodes.remove(node)
            rename_output(graph, maker, source, node.outputs[0])
        elif as_conv and node.op == "BatchNormalization" and len(graph.tensors[source].shape) == 4:
            names = [graph.add_constant(f"{node.name}.weight", factor.reshape(-1, 1, 1, 1).astype(np.float32)),
                     graph.add_constant(f"{node.name}.bias", offset.astype(np.float32))]
            node.op, node.inputs = "Conv", [source, *names]
            node.attrs = {"kernel_shape": (1, 1), "strides": (1, 1), "pads": (0, 0, 0, 0), "group": len(factor)}


def _affine(graph: Graph, node: Node) -> tuple[str, np.ndarray, np.ndarray] | None:
    """(source, factor, offset), float64 a channel, where the node computes source * factor + offset along axis 1."""
    if node.op == "BatchNormalization":
        if any(_constant(graph, node, i) is None for i in (1, 2, 3, 4)):
            return None
        gain, offset, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:5])
        factor = gain / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
        return node.inputs[0], factor, offset - mean * factor
    sources = [name for name in node.inputs if name not in graph.constants]
    shape = graph.tensors[node.outputs[0]].shape
    if node.op not in ("Mul", "Add") or node.attrs or len(sources) != 1 or len(shape) < 2 \
            or graph.tensors[sources[0]].shape != shape:
        return None
    value = graph.constants[next(name for name in node.inputs if name in graph.constants)].astype(np.float64)
    whole = (1,) * (len(shape) - value.ndim) + value.shape
    if any(n != 1 for i, n in enumerate(whole) if i != 1):
        return None
    value, ones = np.broadcast_to(value.reshape(-1), shape[1]), np.ones(shape[1])
    return (sources[0], value, 0 * ones) if node.op == "Mul" else (sources[0], ones, value)


def is_product(graph: Graph, node: Node) -> bool:
    """Whether the node is a Conv, ConvTranspose or Gemm in the form of this module, with constant weights."""
    if node.op not in ("Conv", "ConvTranspose", "Gemm") or any(name not in graph.constants for name in node.inputs[1:]):
        return False
    if node.op == "ConvTranspose":
        channels, each = graph.constants[node.inputs[1]].shape[:2]
        return node.attrs.get("group", 1) in (1, channels if each == 1 else 1)
    return node.op == "Conv" or {k: v for k, v in node.attrs.items() if k not in ("minimum", "maximum")} == {"transB": 1}


def output_axis(node: Node) -> int:
    """The axis of a product's weights that output channels go along."""
    return int(node.op == "ConvTranspose" and node.attrs.get("group", 1) == 1)


def _scale_outputs(graph: Graph, node: Node, factor: np.ndarray, offset: np.ndarray) -> None:
    weight = graph.constants[node.inputs[1]].astype(np.float64)
    bias = 0 if len(node.inputs) < 3 else graph.constants[node.inputs[2]].astype(np.float64)
    weight = weight * along(factor, output_axis(node), weight.ndim)
    node.inputs = [node.inputs[0], graph.add_constant(f"{node.inputs[1]}.folded", weight.astype(np.float32)),
                   graph.add_constant(f"{node.name}.bias", (bias * factor + offset).astype(np.float32))]


def _own_parameters(graph: Graph) -> None:
    """A bias for every product, and no constant that two of them share: each is quantised for itself."""
    taken: set[str] = set()
    for node in graph.nodes:
        if not is_product(graph, node):
            continue
        channels = graph.constants[node.inputs[1]].shape[output_axis(node)]
        bias = np.zeros(1, np.float32) if len(node.inputs) < 3 else graph.constants[node.inputs[2]].reshape(-1)
        bias = np.broadcast_to(bias, channels).astype(np.float32)
        weight = node.inputs[1]
        if weight in taken:
            weight = graph.add_constant(f"{weight}.own", graph.constants[weight])
        name = node.inputs[2] if len(node.inputs) > 2 else f"{node.name}.bias"
        if name not in graph.constants or name in taken or graph.constants[name].shape != bias.shape:
            name = graph.add_constant(name, bias)
        node.inputs = [node.inputs[0], weight, name]
        taken |= {weight, name}


def _unique_names(graph: Graph) -> None:
    seen: set[str] = set()
    for node in graph.nodes:
        stem, count = node.name, 1
        while node.name in seen:
            node.name, count = f"{stem}.{count}", count + 1
        seen.add(node.name)
