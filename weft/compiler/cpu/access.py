"""Where the values of a tensor lie after it was transposed, reshaped or sliced: the same memory, met in another order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .kernel import View

Part = tuple[int, int]  # (size, stride)


@dataclass(frozen=True)
class Access:
    """For each axis its parts (size, stride), the slowest first; the first value is `offset` values behind the view's."""

    axes: tuple[tuple[Part, ...], ...]
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(prod(size for size, _ in axis) for axis in self.axes)

    def transpose(self, order: Sequence[int]) -> "Access":
        return replace(self, axes=tuple(self.axes[k] for k in order))

    def reshape(self, shape: Sequence[int]) -> "Access | None":
        """None where an index of the new axes is no sum of strides."""
        parts = list(_joined([part for axis in self.axes for part in axis]))
        axes = []
        for size in reversed(shape):
            axis: list[Part] = []
            while size > 1:
                if not parts:
                    return None
                n, stride = parts.pop()
                if size % n == 0:
                    axis.insert(0, (n, stride))
                    size //= n
                elif n % size == 0:
                    axis.insert(0, (size, stride))
                    parts.append((n // size, stride * size))
                    size = 1
                else:
                    return None
            axes.insert(0, tuple(axis))
        return replace(self, axes=tuple(axes))

    def slice(self, axis: int, start: int, size: int, step: int = 1) -> "Access":
        """So many values of an axis of one part, from start on."""
        ((_, stride),) = self.axes[axis] or ((1, 0),)
        axes = list(self.axes)
        axes[axis] = ((size, stride * step),)
        return Access(tuple(axes), self.offset + start * stride)

    def without(self, axis: int) -> "Access":
        """Without an axis of one value."""
        return replace(self, axes=self.axes[:axis] + self.axes[axis + 1:])

    def places(self) -> np.ndarray:
        """int64, of the access' shape: where each value lies."""
        found = np.array(self.offset)
        for axis in self.axes:
            for size, stride in axis:
                found = found[..., None] + np.arange(size) * stride
        return found.reshape(self.shape)

    def expand(self, shape: Sequence[int]) -> "Access":
        """Broadcast by NumPy's rule."""
        axes = ((),) * (len(shape) - len(self.axes)) + self.axes
        spread = (((size, 0),) if prod(n for n, _ in axis) == 1 else axis for axis, size in zip(axes, shape))
        return replace(self, axes=tuple(spread))


def of(view: View) -> Access:
    return Access(tuple(((size, stride),) for size, stride in zip(view.shape, view.strides)))


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Parts without those of one value, and neighbours that are one behind the other as one."""
    found: list[Part] = []
    for size, stride in parts:
        if size == 1:
            continue
        if found and found[-1][1] == size * stride:
            size *= found.pop()[0]
        found.append((size, stride))
    return found


def together(target: Access, source: Access) -> tuple[list[int], list[int], list[int]] | None:
    """(sizes, strides of the target, strides of the source) of loops over two accesses of one shape; None where the parts of
    an axis do not divide one another."""
    found: list[tuple[int, int, int]] = []
    for a, b in zip(target.axes, source.axes, strict=True):
        left, right = ([part for part in axis if part[0] > 1] for axis in (a, b))
        while left and right:
            (n, s), (m, t) = left.pop(), right.pop()
            size = min(n, m)
            if n % size or m % size:
                return None
            left += [(n // size, s * size)] * (n > size)
            right += [(m // size, t * size)] * (m > size)
            found.append((size, s, t))
        assert not left and not right, "the accesses have one shape"
    sizes, to, from_ = ([one[k] for one in found] for k in range(3))
    return sizes, to, from_
