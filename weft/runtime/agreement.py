"""Whether what a run gave is what the integer reference gives: `compare(report, module, outputs, expected)`.

Integers are computed exactly everywhere, so they are equal, bit for bit. Operators on real numbers, whose names begin with a
capital, are computed by CPU and GPU in another order of sums and with other approximations of functions than NumPy's. Where a
module has such ones there, outputs may differ from the reference: real numbers by TOLERANCE of the output's largest
value, integers, into which such numbers were rounded, by one.
"""

from collections.abc import Mapping

import numpy as np

from .module import Module, Operator
from .report import RunReport

TOLERANCE = 1e-4  # of the largest magnitude of an output's expected values


def has_real_numbers(module: Module) -> bool:
    """Whether the module has operators on real numbers on the CPU or on a GPU."""
    return any(operator.where in ("cpu", "gpu") and _is_real(operator) for operator in module.operators)


def _is_real(operator: Operator) -> bool:
    return operator.op == "chain" or operator.attrs.get("op", operator.op)[0].isupper()  # pieces are of an operator


def compare(report: RunReport, module: Module, outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Fills in bit_exact, agrees and difference of a report."""
    report.bit_exact = all(np.array_equal(outputs[name], expected[name]) for name in outputs)
    report.agrees = report.bit_exact or has_real_numbers(module) and all(agree(outputs[name], expected[name]) for name in outputs)
    real = [difference(outputs[name], expected[name]) for name in outputs if expected[name].dtype.kind == "f"]
    report.difference = max(real, default=None)


def agree(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether an output that real numbers led to is near enough to the reference's."""
    if expected.dtype.kind == "f":
        return difference(found, expected) <= TOLERANCE
    return int(np.abs(found.astype(np.int64) - expected.astype(np.int64)).max(initial=0)) <= 1


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of two arrays of real numbers, as a part of the largest finite magnitude of `expected`; infinite
    where one of the two has a value that is not finite, and the other another one."""
    finite = np.isfinite(expected)
    if not np.array_equal(np.where(finite, 0, found), np.where(finite, 0, expected), equal_nan=True):
        return float("inf")
    largest = np.abs(expected[finite]).max(initial=0)
    apart = np.abs(found[finite].astype(np.float64) - expected[finite]).max(initial=0)
    return float(apart / largest) if largest else float("inf") if apart else 0.0
