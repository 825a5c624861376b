"""The table of kernels, filled by the modules beside it as they are imported."""

from collections.abc import Callable

import numpy as np

from weft.isa import WeftError

Kernel = Callable[..., tuple[np.ndarray, ...]]
KERNELS: dict[str, Kernel] = {}


def kernel(op: str) -> Callable[[Kernel], Kernel]:
    """Decorator: the function is what operator `op` means."""
    def register(function: Kernel) -> Kernel:
        assert op not in KERNELS, op
        KERNELS[op] = function
        return function
    return register


def run(op: str, attrs: dict, *arrays: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """One operator on arrays. WeftError where no kernel of that name is known."""
    if op not in KERNELS:
        raise WeftError(f"operator '{op}'", "an operator must have a kernel", "none", f"one of {', '.join(sorted(KERNELS))}")
    return KERNELS[op](attrs, *arrays)
