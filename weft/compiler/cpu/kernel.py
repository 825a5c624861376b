"""What an operator on the CPU is made of: where its tensors lie, and a loop program over their logical axes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from .. import te
from ..stmt import LoopProgram
from ..te import Tensor

LANES = 16  # values that a kernel computes together; channels are rounded up to a multiple


@dataclass(frozen=True)
class View:
    """A tensor in memory: the value at (i, j, ..) is strides[0] * i + strides[1] * j + .. elements behind `offset`.

    dtype: of an element as it lies there; int8 activations within a program are uint8, with 128 added. shape: the logical
    sizes. offset: bytes from the begin of its memory to the value at (0, 0, ..). border: for each axis how many indices
    below 0 and how many beyond its end have memory too: rows and columns of padding, which hold the pad value, and channels
    up to a multiple of LANES, which may hold anything.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    border: tuple[tuple[int, int], ...] = ()

    @property
    def around(self) -> tuple[tuple[int, int], ...]:
        """border, also where there is none."""
        return self.border or ((0, 0),) * len(self.shape)

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize

    @property
    def before(self) -> int:
        """Elements from the first one that has memory to the one at (0, 0, ..)."""
        return sum(low * stride for (low, _), stride in zip(self.around, self.strides))

    @property
    def elements(self) -> int:
        """From the first that has memory to the last, gaps included."""
        return 1 + sum((size + low + high - 1) * stride
                       for size, stride, (low, high) in zip(self.shape, self.strides, self.around))

    def placeholder(self, name: str) -> Tensor:
        """A tensor of its axes as an argument of a loop program: axes a0, a1, .., each up to the end of its border."""
        axes = {f"a{k}": size + high for k, (size, (_, high)) in enumerate(zip(self.shape, self.around))}
        return te.placeholder(name, axes, self.dtype, 0, self.strides, tuple(low for low, _ in self.around))


def plain(dtype: str, shape: Sequence[int], offset: int = 0) -> View:
    """Row-major, with nothing around it."""
    strides = tuple(prod(shape[k + 1:]) for k in range(len(shape)))
    return View(dtype, tuple(shape), strides, offset)


def channels_last(dtype: str, shape: Sequence[int], border: tuple[int, int, int, int] = (0, 0, 0, 0),
                  offset: int = 0) -> View:
    """[n, c, h, w] as NHWC, with rows and columns around (top, left, bottom, right); channels rounded up to 4, or to LANES
    where there are more.

    offset: bytes to the first value that has memory, the border's corner.
    """
    n, c, h, w = shape
    top, left, bottom, right = border
    wide = -(-c // LANES) * LANES if c > 4 else 4
    row = (w + left + right) * wide
    strides = ((h + top + bottom) * row, 1, row, wide)
    view = View(dtype, (n, c, h, w), strides, 0, ((0, 0), (0, wide - c), (top, bottom), (left, right)))
    return View(dtype, view.shape, strides, offset + view.before * view.itemsize, view.border)


@dataclass
class Kernel:
    """One function of machine code.

    program: its arguments by name, inputs before outputs: tensors of the graph, and what the builder made. constants: the
    values of the latter (weights as the kernel reads them, biases, tables), each to lie at a multiple of 64 bytes. turns: of
    the outermost loop, which threads share.
    """

    name: str
    program: LoopProgram
    turns: int
    constants: dict[str, np.ndarray] = field(default_factory=dict)
