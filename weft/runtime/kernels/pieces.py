"""`pieces`: an output put together from interleaved rectangles, each of which another operator makes of the same input."""

import numpy as np

from .registry import KERNELS, kernel


@kernel("pieces")
def pieces(attrs, x, *parameters):
    """x int8 or float32 [N, C, H, W] and the parameters of all pieces -> [N, O, OH, OW] of the same dtype.

    attrs: op, the operator of every piece; shape of the output; pieces, for each a mapping with
        rows, columns: (first, step, count): the rows and columns of the output that it makes,
        inputs: which of the parameters it takes, attrs: its operator's attributes.
    Every value of the output belongs to one piece.
    """
    y = np.zeros(attrs["shape"], x.dtype)
    for piece in attrs["pieces"]:
        (part,) = KERNELS[attrs["op"]](piece["attrs"], x, *(parameters[i] for i in piece["inputs"]))
        y[:, :, span(piece["rows"]), span(piece["columns"])] = part
    return (y,)


def span(places: tuple[int, int, int]) -> slice:
    """The indices first, first + step, ... of which there are count."""
    first, step, count = places
    return slice(first, first + step * (count - 1) + 1, step)
