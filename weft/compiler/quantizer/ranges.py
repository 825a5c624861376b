"""From the values of a tensor to the range that its int8 form covers: minimum and maximum, percentiles, or least error.

A range that cuts rare large values off makes the steps between all others finer. Every range includes 0, which padding
and Relu need exactly.
"""

from dataclasses import dataclass

import numpy as np

from weft.isa import WeftError

METHODS = ("minmax", "percentile", "mse")
BINS = 8192
_MSE_BINS = 2048
_SHRINK = np.linspace(1.0, 0.1, 46)  # candidates for an end of the range, as a share of the extreme value


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (stored - zero_point), stored from -128 to 127; scale is a float32's value."""

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        return (-128 - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        return (127 - self.zero_point) * self.scale

    def stored(self, x: np.ndarray) -> np.ndarray:
        """int8; ties to even and clipping as QuantizeLinear does it."""
        return np.clip(np.rint(x / np.float32(self.scale)) + self.zero_point, -128, 127).astype(np.int8)

    def nearest(self, x: np.ndarray) -> np.ndarray:
        """float32: the real numbers that the stored ones stand for."""
        y = x / np.float32(self.scale)
        np.rint(y, out=y)
        np.clip(y, -128 - self.zero_point, 127 - self.zero_point, out=y)
        y *= np.float32(self.scale)
        return y


def from_range(low: float, high: float) -> Quantisation:
    """int8 parameters that reach from low to high, 0 included; the zero point is a whole number, so 0 is exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255))
    if scale < float(np.finfo(np.float32).tiny):
        return Quantisation(1.0, 0)  # nothing but zeros
    return Quantisation(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))


class Histogram:
    """How often values of each of BINS equal parts of [low, high] were seen."""

    def __init__(self, low: float, high: float):
        self.low, self.high = min(low, 0.0), max(high, 0.0)
        self.counts = np.zeros(BINS, np.int64)

    def add(self, x: np.ndarray) -> None:
        if self.high > self.low:
            self.counts += np.histogram(x, BINS, (self.low, self.high))[0]

    def edges(self, bins: int = BINS) -> np.ndarray:
        return np.linspace(self.low, self.high, bins + 1)

    def percentiles(self, percentile: float) -> tuple[float, float]:
        """The values below which 100 - percentile and percentile per cent of all lie, to within a bin."""
        total = self.counts.sum()
        if total == 0:
            return self.low, self.high
        share = np.concatenate([[0], np.cumsum(self.counts)]) / total
        edges = self.edges()
        low = edges[np.searchsorted(share, 1 - percentile / 100, side="right") - 1]
        high = edges[np.searchsorted(share, percentile / 100, side="left")]
        return min(float(low), 0.0), max(float(high), 0.0)

    def least_error(self) -> tuple[float, float]:
        """The range whose int8 form has the least mean squared error: each end in turn, twice."""
        low, high = self.low, self.high
        for _ in range(2):
            high = self._best([(low, self.high * s) for s in _SHRINK])[1] if self.high > 0 else high
            low = self._best([(self.low * s, high) for s in _SHRINK])[0] if self.low < 0 else low
        return low, high

    def _best(self, candidates: list[tuple[float, float]]) -> tuple[float, float]:
        return min(candidates, key=lambda c: self.squared_error(from_range(*c)))

    def squared_error(self, q: Quantisation) -> float:
        """Mean squared error of the quantisation, each bin seen as its middle."""
        counts = self.counts.reshape(_MSE_BINS, -1).sum(1)
        edges = self.edges(_MSE_BINS)
        middles = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
        errors = (q.nearest(middles) - middles).astype(np.float64)
        return float((errors ** 2) @ counts / max(counts.sum(), 1))


def check_method(method: str, percentile: float) -> None:
    """WeftError for a method that is none, or a percentile that is none."""
    if method not in METHODS:
        raise WeftError(f"ranges '{method}'", f"they are found by {', '.join(METHODS)}", f"'{method}'", "one of these names")
    if not 50 < percentile <= 100:
        raise WeftError("percentile", "it must be above 50 and at most 100", f"{percentile:g}", "99.99")
