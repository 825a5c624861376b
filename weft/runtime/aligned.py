"""Memory for machine code: arrays that begin at a multiple of a cache line."""

import numpy as np

LINE = 64  # bytes


def zeros(size: int) -> np.ndarray:
    """uint8 [size] of zeros that begins at a multiple of LINE bytes."""
    whole = np.zeros(size + LINE, np.uint8)
    first = -whole.ctypes.data % LINE
    return whole[first:first + size]


def copied(data: np.ndarray) -> np.ndarray:
    """The bytes of an array, uint8, likewise."""
    data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    made = zeros(data.size)
    made[:] = data
    return made
