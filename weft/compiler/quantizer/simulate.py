"""Float and int8 network side by side, layer by layer, on the same samples: bias correction, and each layer's noise.

A product whose weights were rounded has outputs that are wrong in the mean, by a constant a channel; the next layer sees the
sum of many. Bias correction takes that mean, of the int8 network as corrected so far against the float one, off the bias.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..graph import Graph, Node
from .evaluate import apply, last_readers
from .plan import Plan
from .prepare import is_product, output_axis
from .ranges import Quantisation
from .weights import Weights, quantise_weights

BYTES = 1 << 29  # that the tensors of both networks may take at a time
MOST = 256  # samples: a mean over more hardly moves


@dataclass(frozen=True)
class LayerNoise:
    """snr, alone: dB of the layer's output, in the int8 network and with the float network's inputs; None for no noise."""

    name: str
    op: str
    output: str
    quantisation: Quantisation
    snr: float | None
    alone: float | None
    mean_error: float  # of the int8 network, as a share of the signal's root mean square
    corrected: float | None  # largest change of a bias, as a share of the same


def ratio(signal: np.ndarray, other: np.ndarray) -> float | None:
    """Signal-to-noise ratio in dB of `other` against `signal`; None where they are equal."""
    power, noise = (float(np.square(x, dtype=np.float64).sum()) for x in (signal, other - signal))
    if noise == 0:
        return None
    return float(10 * np.log10(max(power, np.finfo(np.float64).tiny) / noise))


def sample_count(graph: Graph, samples: Mapping[str, np.ndarray]) -> int:
    """How many of the samples can be held at a time, all tensors of a moment of both networks."""
    rows = graph.tensors[graph.inputs[0]].shape[0]
    alive = {name: int(np.prod(graph.tensors[name].shape)) for name in graph.inputs}
    most, dropped = 1, last_readers(graph)
    for i, node in enumerate(graph.nodes):
        alive |= {name: int(np.prod(graph.tensors[name].shape)) for name in node.outputs}
        most = max(most, sum(alive.values()))
        for name in dropped.get(i, ()):
            alive.pop(name, None)
    return int(np.clip(BYTES // (16 * most), 1, min(MOST, len(samples[graph.inputs[0]]) // rows)))


class SideBySide:
    """One pass of both networks. `weights`, by the nodes' outputs, are made on the way; `noise` has a line a layer."""

    def __init__(self, graph: Graph, plan: Plan, quantisations: Mapping[str, Quantisation], correct: bool):
        self.graph, self.plan, self.quantisations, self.correct = graph, plan, quantisations, correct
        self.weights: dict[str, Weights] = {}
        self.noise: list[LayerNoise] = []
        self.outputs: dict[str, float | None] = {}

    def run(self, samples: Mapping[str, np.ndarray], progress: Callable[[int, int, str], None]) -> None:
        """samples: stacked, as many as are to be held at a time."""
        graph = self.graph
        real = dict(graph.constants) | {name: samples[name] for name in graph.inputs}
        whole = dict(real)
        dropped = last_readers(graph)
        for i, node in enumerate(graph.nodes):
            self._step(node, real, whole)
            progress(i + 1, len(graph.nodes), "bias correction, noise" if self.correct else "noise")
            for name in dropped.get(i, ()):
                del real[name], whole[name]
        self.outputs = {name: ratio(real[name], whole[name]) for name in graph.outputs}

    def _step(self, node: Node, real: dict[str, np.ndarray], whole: dict[str, np.ndarray]) -> None:
        output = node.outputs[0]
        if not self.plan.computes(node):
            for arrays in (real, whole):
                arrays |= zip(node.outputs, self._outputs(node, arrays), strict=True)
            return
        inputs = self._read(node, whole), self._read(node, real)
        biased = None
        if is_product(self.graph, node):
            real[output], chained, alone, biased = self._product(node, real, *inputs)
        else:
            real[output], chained, alone = (self._apply(node, arrays) for arrays in (real, *inputs))
        q = self.quantisations[output]
        whole[output] = q.nearest(chained)
        size = max(float(np.sqrt(np.square(real[output], dtype=np.float64).mean())), np.finfo(np.float64).tiny)
        mean = np.abs(_channel_means(whole[output] - real[output])).mean()
        self.noise.append(LayerNoise(node.name, node.op, output, q, ratio(real[output], whole[output]),
                                     ratio(real[output], q.nearest(alone)), float(mean / size),
                                     None if biased is None else biased / size))

    def _apply(self, node: Node, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._outputs(node, arrays)[0]

    def _outputs(self, node: Node, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        return apply(self.graph, node, [arrays[name] if name else None for name in node.inputs])

    def _read(self, node: Node, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The node's inputs as it reads them in the int8 network."""
        return {name: self.quantisations[name].nearest(arrays[name]) if name in self.quantisations else arrays[name]
                for name in node.inputs if name}

    def _product(self, node: Node, real: dict, chain: dict, alone: dict):
        """Quantises the weights, and corrects the bias by the mean error of the int8 network's sums.

        Returns the node's outputs before their quantisation: of the float network, of the int8 network (`chain`), of
        the node alone in int8; and the largest change of a bias.
        """
        constants = self.graph.constants
        source, weight, bias = node.inputs
        made = quantise_weights(constants[weight], constants[bias], self.quantisations[source].scale, output_axis(node))
        self.weights[node.outputs[0]] = made
        sums = Node(node.name, node.op, node.inputs, node.outputs,
                    {k: v for k, v in node.attrs.items() if k not in ("minimum", "maximum")})
        chain |= {weight: made.real, bias: np.zeros_like(constants[bias])}
        right, found, largest = self._apply(sums, real), self._apply(sums, chain), None
        if self.correct:
            error = _channel_means(found) + made.real_bias - _channel_means(right)
            made.set_bias(constants[bias] - error)
            largest = float(np.abs(error).max())
        found += made.real_bias.reshape((-1,) + (1,) * (found.ndim - 2))
        alone |= {weight: made.real, bias: made.real_bias}
        return _clamped(node, right), _clamped(node, found), self._apply(node, alone), largest


def _clamped(node: Node, x: np.ndarray) -> np.ndarray:
    """By the Relu or Clip that was fused into the node."""
    return np.clip(x, np.float32(node.attrs.get("minimum", -np.inf)), np.float32(node.attrs.get("maximum", np.inf)))


def _channel_means(x: np.ndarray) -> np.ndarray:
    """float64 means of each channel (axis 1)."""
    return x.mean(axis=(0, *range(2, x.ndim)), dtype=np.float64)
