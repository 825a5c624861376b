"""Cross-layer equalisation: channels of very different size, as depthwise networks have, are brought to one size.

Channel i of a tensor between two products is divided by s[i]: the first product's weights and bias are divided, the second's
weights multiplied. Through a Relu that changes nothing, for relu(x / s) = relu(x) / s. A Clip has another limit after it: a
channel is scaled only as far as its values on the data stay off the limit both before and after.
"""

import numpy as np

from ..graph import Graph, Node
from .observe import Extremes
from .prepare import is_product

MOST = 64.0  # times that a channel is made larger or smaller, at most
_BELOW_LIMIT = 0.98  # of a Clip's limit: so near to it a channel is left as it is


def pairs(graph: Graph) -> list[tuple[Node, Node]]:
    """Products of which the second reads all that the first makes, and nobody else does."""
    makers, readers = graph.producers(), graph.consumers()
    found = []
    for second in graph.nodes:
        first = makers.get(second.inputs[0]) if is_product(graph, second) else None
        if first is None or not is_product(graph, first) or first.op != second.op or first.op == "ConvTranspose":
            continue
        name = first.outputs[0]
        if len(readers[name]) == 1 and name not in graph.outputs and first.attrs.get("minimum", 0.0) == 0 \
                and _channel_axis_fits(graph, first, second):
            found.append((first, second))
    return found


def _channel_axis_fits(graph: Graph, first: Node, second: Node) -> bool:
    """Whether the second's weights are by channel of the first: whole, or depthwise with one output a channel."""
    channels, weight = len(graph.constants[first.inputs[1]]), graph.constants[second.inputs[1]]
    return second.attrs.get("group", 1) == 1 or second.attrs["group"] == channels == len(weight)


def equalise(graph: Graph, seen: dict[str, Extremes]) -> int:
    """Changes weights and biases of the graph; returns how many pairs it equalised.

    seen: the extremes of every tensor between a pair, on the data, before any change.
    """
    count = 0
    scaled: dict[str, np.ndarray] = {}
    for first, second in pairs(graph):
        name = first.outputs[0]
        size = seen[name].channels.astype(np.float64)
        factor = _factors(graph, first, second, size)
        if np.any(factor != 1):
            _scale(graph, first, second, factor)
            scaled[name] = factor
            count += 1
    return count


def _factors(graph: Graph, first: Node, second: Node, size: np.ndarray) -> np.ndarray:
    """What each channel is divided by; powers of two, so that no float rounds."""
    weight = graph.constants[second.inputs[1]]
    alive = size > 0
    if not alive.any():
        return np.ones_like(size)
    target = size.max()
    if second.attrs.get("group", 1) == 1:
        columns = np.abs(weight).max(axis=(0, *range(2, weight.ndim))).astype(np.float64)
        alive &= columns > 0
        if not alive.any():
            return np.ones_like(size)
        wanted = np.sqrt(size / target / np.where(alive, columns / columns[alive].max(), 1))
    else:
        wanted = size / target  # a depthwise weight has a scale a channel: the range of the tensor is all that counts
    limit = first.attrs.get("maximum", np.inf)
    if np.isfinite(limit):
        alive &= size < limit * _BELOW_LIMIT
        wanted = np.maximum(wanted, size / (limit * _BELOW_LIMIT))
    wanted = np.where(alive, np.clip(wanted, 1 / MOST, MOST), 1.0)
    return np.exp2(np.ceil(np.log2(wanted)))


def _scale(graph: Graph, first: Node, second: Node, factor: np.ndarray) -> None:
    constants = graph.constants
    divide = (1 / factor).astype(np.float32)
    weight, bias, after = (constants[name] for name in (*first.inputs[1:], second.inputs[1]))
    constants[first.inputs[1]] = weight * divide.reshape((-1,) + (1,) * (weight.ndim - 1))
    constants[first.inputs[2]] = bias * divide
    across = (1, -1) if second.attrs.get("group", 1) == 1 else (-1, 1)
    constants[second.inputs[1]] = after * factor.astype(np.float32).reshape(across + (1,) * (after.ndim - 2))
