"""Where the graph's constants lie among those that machine code reads, so that a module's file holds them once."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stored:
    """A constant among a function's constants: an array of `shape` at byte `offset`, its axes put into `order`, neighbours
    joined so that its shape is `joined`, and of each axis the first `cut` values."""

    function: int
    offset: int
    shape: tuple[int, ...]
    order: tuple[int, ...]
    joined: tuple[int, ...]
    cut: tuple[int, ...]

    def read(self, constants: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The graph's constant of that dtype and shape. constants: the function's, uint8."""
        dtype = np.dtype(dtype)
        size = math.prod(self.shape) * dtype.itemsize
        packed = constants[self.offset:self.offset + size].view(dtype).reshape(self.shape)
        whole = packed.transpose(self.order).reshape(self.joined)
        return np.ascontiguousarray(whole[tuple(map(slice, self.cut))]).reshape(shape)
