"""The definition of sums of products: shapes, rows as one, room for whole vectors."""

import numpy as np
import pytest

from weft.compiler.cpu.contraction import Contraction, one_row, room
from weft.compiler.cpu.kernel import channels_last, plain
from weft.compiler.cpu.pack import packed


def image(dtype, c, h=4, w=4, border=(0, 0, 0, 0)):
    return channels_last(dtype, (1, c, h, w), border)


@pytest.mark.parametrize("c, shape", [
    (Contraction(image("uint8", 6), image("uint8", 21), (3, 3)), (1, 2, 1, 3, 3, 2, 16, 4)),
    (Contraction(image("float32", 6), image("float32", 21), (3, 1)), (1, 2, 1, 3, 1, 6, 16)),
    (Contraction(image("uint8", 16), image("uint8", 24), groups=2), (2, 3, 1, 1, 1, 2, 4, 4)),
    (Contraction(image("uint8", 6), image("uint8", 9), groups=3), (3, 3, 1, 1, 1, 2, 1)),
    (Contraction(image("uint8", 6), image("uint8", 9), parts=2), (1, 1, 2, 1, 1, 2, 16, 4))])
def test_weights_lie_as_they_are_read(c, shape):
    """Each weight is at [group, vector, part, row, column, step, lane, byte]; all others are 0."""
    assert c.weights_shape == shape
    w = np.random.default_rng(0).integers(1, 100, (c.y.shape[1], c.inputs, c.parts * c.kernel[0],
                                                   c.kernel[1])).astype(np.int8)
    full, each = packed(w, c), 4 if c.by_four else 1
    for (o, i, row, column), value in np.ndenumerate(w):
        group, channel = divmod(o, c.outputs)
        at = [group, channel // c.lanes, row // c.kernel[0], row % c.kernel[0], column, i // each, channel % c.lanes]
        assert full[tuple(at + [i % each] * (each > 1))] == value
    assert np.count_nonzero(full) == w.size


def test_rows_are_one_where_nothing_is_between_them():
    bare, bordered = image("uint8", 16), image("uint8", 16, border=(0, 1, 0, 0))
    assert one_row(bordered) is None and one_row(bare).shape == (1, 16, 1, 16)
    assert Contraction(bare, bare).flattened().y.shape == (1, 16, 1, 16)
    for c in (Contraction(bare, bordered), Contraction(bare, bare, (3, 3)), Contraction(bare, bare, strides=(2, 2))):
        assert c.flattened() is c


def test_room_is_for_whole_vectors_or_none():
    assert room(image("uint8", 21)) == 32 and room(image("uint8", 3)) == 3 and room(plain("uint8", (1, 21, 4, 4))) == 21
