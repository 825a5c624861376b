"""Instruction streams that a device has decoded: a network launches the same few again for every input."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

KEPT = 64

T = TypeVar("T")


class Streams(Generic[T]):
    """What `decode(stream, *options)` makes of each stream, uint8 [n], made once as long as its bytes and options come again."""

    def __init__(self, decode: Callable[..., T]):
        self._decode = decode
        self._kept: dict[tuple[Hashable, ...], T] = {}

    def __call__(self, stream: np.ndarray, *options: Hashable) -> T:
        key = (stream.tobytes(), *options)
        if key not in self._kept:
            decoded = self._decode(stream, *options)
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = decoded
        return self._kept[key]
