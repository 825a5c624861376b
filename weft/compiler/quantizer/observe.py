"""What values the tensors of a float network take on the data: extremes, extremes by channel, histograms."""

from collections.abc import Callable, Mapping

import numpy as np

from weft.isa import WeftError

from ..graph import Graph
from .evaluate import batches, walk
from .plan import Plan
from .ranges import Histogram, Quantisation, from_range

Progress = Callable[[int, int, str], None]


class Extremes:
    """Least and greatest value of a tensor, and the greatest magnitude of each channel (axis 1)."""

    def __init__(self):
        self.low, self.high = 0.0, 0.0
        self.channels: np.ndarray | None = None

    def add(self, x: np.ndarray) -> None:
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        if x.ndim >= 2:
            largest = np.abs(x).max(axis=(0, *range(2, x.ndim)))
            self.channels = largest if self.channels is None else np.maximum(self.channels, largest)


def extremes(graph: Graph, samples: Mapping[str, np.ndarray], names: set[str], progress: Progress) -> dict[str, Extremes]:
    """Of each of the tensors; 0 counts as seen. WeftError where a value is not finite."""
    found = {name: Extremes() for name in names}

    def visit(name: str, x: np.ndarray) -> None:
        if name in found:
            if not np.isfinite(x).all():
                raise WeftError(f"tensor '{name}'", "its values on the data must be finite", "NaN or infinity",
                                "to look at the float model and the data's scale")
            found[name].add(x)

    _walk_all(graph, samples, visit, progress, "minimum and maximum")
    return found


def _walk_all(graph: Graph, samples: Mapping[str, np.ndarray], visit, progress: Progress, title: str) -> None:
    total = len(samples[graph.inputs[0]])
    done = 0
    for part in batches(graph, samples):
        walk(graph, part, visit)
        done += len(part[graph.inputs[0]])
        progress(done, total, title)


def choose(graph: Graph, samples: Mapping[str, np.ndarray], plan: Plan, method: str, percentile: float,
           progress: Progress) -> dict[str, Quantisation]:
    """The quantisation of every tensor of the plan, one for each group, by a method of `ranges.METHODS`."""
    found = extremes(graph, samples, set(plan.group), progress)
    limits = {root: (min(found[n].low for n in names), max(found[n].high for n in names))
              for root, names in plan.groups().items()}
    if method != "minmax":
        histograms = {root: Histogram(*limit) for root, limit in limits.items()}

        def visit(name: str, x: np.ndarray) -> None:
            if name in plan.group:
                histograms[plan.group[name]].add(x)

        _walk_all(graph, samples, visit, progress, "histograms")
        limits = {root: h.percentiles(percentile) if method == "percentile" else h.least_error()
                  for root, h in histograms.items()}
    for root in plan.symmetric:
        largest = max(map(abs, limits[root]))
        limits[root] = -largest * 128 / 127, largest  # of the steps -128 to 127, 0 is the middle
    return {name: from_range(*limits[root]) for name, root in plan.group.items()}
