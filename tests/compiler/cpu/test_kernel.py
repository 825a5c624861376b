"""Views: where values lie."""

from itertools import product

import numpy as np
import pytest

from weft.compiler.cpu.kernel import View, channels_last, plain


def places(view: View) -> list[int]:
    """Of all values that have memory, border included, in bytes from the begin of it."""
    ranges = [range(-low, size + high) for size, (low, high) in zip(view.shape, view.around)]
    return [view.offset + view.itemsize * sum(i * s for i, s in zip(index, view.strides)) for index in product(*ranges)]


@pytest.mark.parametrize("view", [plain("float32", (2, 3, 4)), plain("int8", ()),
                                  channels_last("uint8", (2, 3, 4, 5), (1, 2, 0, 3)),
                                  channels_last("float32", (1, 21, 2, 2), offset=64)], ids=str)
def test_all_values_have_a_place_of_their_own(view):
    found = sorted(places(view))
    begin = view.offset - view.before * view.itemsize
    assert found == list(range(begin, begin + view.elements * view.itemsize, view.itemsize))


def test_images_are_wide_enough_for_vectors():
    assert channels_last("uint8", (1, 3, 2, 5)).strides == (40, 1, 20, 4)
    view = channels_last("float32", (1, 17, 2, 5), (1, 0, 2, 1), 128)
    assert view.strides == (5 * 6 * 32, 1, 6 * 32, 32) and view.border == ((0, 0), (0, 15), (1, 2), (0, 1))
    assert view.offset == 128 + 4 * 6 * 32 and view.before == 6 * 32


def test_a_placeholder_has_the_border():
    x = channels_last("uint8", (1, 3, 2, 5), (1, 2, 1, 1)).placeholder("x")
    assert (x.shape, x.low, x.dtype) == ((1, 4, 3, 6), (0, 0, 1, 2), "uint8")
    assert np.prod(plain("int8", (2, 3)).placeholder("x").shape) == 6
