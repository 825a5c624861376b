"""Post-training quantisation: from a float network and a few samples to int8, as QDQ ONNX.

    prepare      batch norms folded, activations fused             evaluate    the float graph on stacked samples
    plan         what computes in int8, what shares a scale        observe     extremes and histograms of tensors
    equalise     channels of one size, for depthwise networks      ranges      from histogram to scale and zero point
    weights      symmetric int8 by channel, int32 biases           simulate    side by side: bias correction, noise
    export       QDQ ONNX                                          report      which layer loses what
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from weft.isa import WeftError

from .. import frontends
from ..graph import Graph
from .equalise import equalise, pairs
from .export import to_onnx
from .observe import Progress, choose, extremes
from .plan import make_plan
from .prepare import check_float, prepare
from .ranges import METHODS, check_method
from .report import QuantisationReport
from .samples import Samples, check_samples, load_samples
from .simulate import SideBySide, sample_count

__all__ = ["METHODS", "Options", "QuantisationReport", "load_float", "load_samples", "quantise", "quantise_graph"]


@dataclass(frozen=True)
class Options:
    """ranges: one of METHODS. percentile: for that method. limit: samples that are used, at most (None: all)."""

    ranges: str = "minmax"
    percentile: float = 99.99
    bias_correction: bool = True
    equalise: bool = False
    limit: int | None = None

    def __post_init__(self):
        check_method(self.ranges, self.percentile)
        if self.limit is not None and self.limit < 1:
            raise WeftError("samples", "there must be at least one", str(self.limit), "100 or so")


def quantise(model: str | Path, data: str | Path | Mapping[str, np.ndarray], options: Options = Options(),
             progress: Progress = lambda done, total, title: None) -> tuple[onnx.ModelProto, QuantisationReport]:
    """The QDQ model of a float ONNX or TFLite file, and what it loses.

    data: a .npz file or folder as for `load_samples`, or arrays [samples, ...] by input name.

    Raises
    ------
    WeftError: for a model that is damaged, unknown or quantised already, and for data that do not fit it.
    """
    graph, samples = load_float(model, data)
    return quantise_graph(graph, samples, options, progress)


def load_float(model: str | Path, data: str | Path | Mapping[str, np.ndarray]) -> tuple[Graph, Samples]:
    """The graph of a file and its data. Sizes that an ONNX file leaves open are the data's, with a batch of 1."""
    try:
        graph = frontends.load(model)
    except WeftError as error:
        if error.rule != "its shape must be static":
            raise
        names = open_inputs(model)
        samples = dict(data) if isinstance(data, Mapping) else load_samples(data, names)
        return frontends.load(model, {n: (1, *np.shape(samples[n])[1:]) for n in names if n in samples}), samples
    if isinstance(data, Mapping):
        return graph, dict(data)
    check_float(graph)  # before the data: a wrong model makes the question of data moot
    return graph, load_samples(data, graph.inputs)


def open_inputs(model: str | Path) -> list[str]:
    """The names of an ONNX file's inputs."""
    graph = onnx.load(str(model), load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in constants]


def quantise_graph(graph: Graph, samples: Mapping[str, np.ndarray], options: Options = Options(),
                   progress: Progress = lambda done, total, title: None) -> tuple[onnx.ModelProto, QuantisationReport]:
    """As `quantise`, for a graph of `frontends.load` and arrays [samples, ...] by input name."""
    real = prepare(graph)
    missing = [name for name in real.inputs if name not in samples]
    if missing:
        raise WeftError("data", "there must be an array for every input", f"none for '{missing[0]}'",
                        "an array named as the model's input")
    shapes = {name: real.tensors[name].shape for name in real.inputs}
    checked = check_samples({name: samples[name] for name in real.inputs}, shapes, options.limit)
    plan = make_plan(real)
    if not plan.nodes:
        raise WeftError(f"model {graph.name}", "there must be an operator to quantise", "none",
                        "a network with convolutions or matrix products of constant weights")
    equalised = 0
    if options.equalise:
        between = {first.outputs[0] for first, _ in pairs(real)}
        equalised = equalise(real, extremes(real, checked, between, progress))
    quantisations = choose(real, checked, plan, options.ranges, options.percentile, progress)
    both = SideBySide(real, plan, quantisations, options.bias_correction)
    compared = sample_count(real, checked)
    both.run({n: x[:compared * shapes[n][0]] for n, x in checked.items()}, progress)
    first = real.inputs[0]
    report = QuantisationReport(
        graph.name, f"percentile {options.percentile:g}" if options.ranges == "percentile" else options.ranges,
        len(checked[first]) // shapes[first][0], compared, equalised, options.bias_correction, tuple(both.noise),
        tuple(f"{node.name} ({node.op})" for node in real.nodes if not plan.computes(node)), both.outputs)
    return to_onnx(real, plan, quantisations, both.weights), report
