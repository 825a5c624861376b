"""The table of kernels, filled by the modules beside it as they are imported."""

import functools
from collections.abc import Callable

import numpy as np

from weft.isa import WeftError

Kernel = Callable[..., tuple[np.ndarray, ...]]
KERNELS: dict[str, Kernel] = {}


def kernel(op: str) -> Callable[[Kernel], Kernel]:
    """Decorator: the function is what operator `op` means."""
    def register(function: Kernel) -> Kernel:
        assert op not in KERNELS, op
        KERNELS[op] = _clamped(function) if op[0].isupper() else function
        return function
    return register


def _clamped(function: Kernel) -> Kernel:
    """Real operators may carry attributes `minimum` and `maximum`: a clamp of the output that was fused into them."""
    @functools.wraps(function)
    def clamped(attrs, *arrays):
        results = function(attrs, *arrays)
        if "minimum" not in attrs and "maximum" not in attrs:
            return results
        low, high = attrs.get("minimum", -np.inf), attrs.get("maximum", np.inf)
        return tuple(np.clip(y, y.dtype.type(low), y.dtype.type(high)) for y in results)
    return clamped


def run(op: str, attrs: dict, *arrays: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """One operator on arrays. WeftError where no kernel of that name is known."""
    if op not in KERNELS:
        raise WeftError(f"operator '{op}'", "an operator must have a kernel", "none", f"one of {', '.join(sorted(KERNELS))}")
    return KERNELS[op](attrs, *arrays)
