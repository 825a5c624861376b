"""Which constants of the graph can be had from those that kernels read: `find(name, value, packed, offset)`.

What is tried are the orders in which kernels have weights; one counts where the constant comes back bit for bit.
"""

from collections.abc import Iterator

import numpy as np

from weft.runtime.stored import Stored

LEAST = 4096  # bytes of a constant that is worth a look


def find(value: np.ndarray, packed: np.ndarray, offset: int) -> Stored | None:
    """How `value`, a constant of the graph, is had from `packed`, which lies at a byte of the first function's constants;
    None where it is not."""
    if value.dtype != packed.dtype or value.nbytes < LEAST or packed.size < value.size:
        return None
    data = np.ascontiguousarray(packed).reshape(-1).view(np.uint8)
    for order, joined, cut in _orders(value.shape, packed.shape):
        try:
            found = Stored(0, 0, packed.shape, order, joined, cut).read(data, value.dtype, value.shape)
        except ValueError:  # these shapes do not fit
            continue
        if found.tobytes() == value.tobytes():
            return Stored(0, offset, packed.shape, order, joined, cut)
    return None


def _orders(shape: tuple[int, ...], packed: tuple[int, ...]) -> Iterator[tuple]:
    """(order, joined, cut) that may lead from an array of shape `packed` to one of `shape`."""
    yield tuple(range(len(packed))), packed, packed
    if len(packed) in (7, 8) and len(shape) >= 2:  # weights_shape of a Contraction
        groups, vectors, parts, rows, columns, steps, lanes, *four = packed
        ins, outs = (5, 7)[:1 + len(four)], (1, 6)
        inputs, outputs = steps * (four[0] if four else 1), vectors * lanes
        window, cut = (parts, rows, columns), (groups, shape[0] // groups, shape[1], parts, rows, columns)
        yield (0, *outs, *ins, 2, 3, 4), (groups, outputs, inputs, *window), cut
        yield (0, *ins, *outs, 2, 3, 4), (groups, inputs, outputs, *window), cut
    if len(packed) == 4:  # of a depthwise convolution, channels last
        parts, rows, columns, channels = packed
        yield (3, 0, 1, 2), (channels, parts, rows, columns), (shape[0], parts, rows, columns)
