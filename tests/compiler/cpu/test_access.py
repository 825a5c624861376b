"""Accesses: where values lie after moves is where NumPy puts them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import shapes
from weft.compiler.cpu import access
from weft.compiler.cpu.kernel import View, channels_last, plain


def places(view: View) -> np.ndarray:
    """Where each value lies, worked out by itself."""
    return sum(np.arange(n).reshape([-1 if k == axis else 1 for k in range(len(view.shape))]) * stride
               for axis, (n, stride) in enumerate(zip(view.shape, view.strides))) + np.zeros(view.shape, int)


def wide(shape) -> View:
    """Rows with a gap between them."""
    *outer, inner = plain("float32", shape).strides
    return View("float32", shape, (*(2 * stride for stride in outer), inner))


@given(shapes(1, 4, 9), st.booleans(), st.randoms(use_true_random=False))
def test_moves_one_after_the_other(shape, gaps, random):
    view = wide(shape) if gaps else plain("float32", shape)
    met, true = access.of(view), places(view)
    for _ in range(3):
        kind = random.choice(["transpose", "slice", "expand"])
        if kind == "transpose":
            order = random.sample(range(true.ndim), true.ndim)
            met, true = met.transpose(order), true.transpose(order)
        elif kind == "slice":
            axis, step = random.randrange(true.ndim), random.choice([1, 2, -1])
            first = random.randrange(true.shape[axis])
            cut = range(first, true.shape[axis], step) if step > 0 else range(first, -1, step)
            met, true = met.slice(axis, first, len(cut), step), true.take(list(cut), axis)
        elif 1 in true.shape:
            target = tuple(random.randint(1, 3) if n == 1 else n for n in true.shape)
            met, true = met.expand(target), np.broadcast_to(true, target)
            break
    assert met.shape == true.shape and np.array_equal(met.places(), true)


@given(st.lists(st.integers(2, 5), min_size=1, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_reshape_is_right_where_there_is_one(factors, gaps, random):
    shape = tuple(factors)
    random.shuffle(factors)
    other = (int(np.prod(factors[:1])), int(np.prod(factors[1:])))
    view = wide(shape) if gaps else plain("float32", shape)
    met = access.of(view).reshape(other)
    assert met is not None or gaps
    assert met is None or np.array_equal(met.places(), places(view).reshape(other))


def test_channels_of_images_are_taken_apart():
    view = channels_last("float32", (1, 8, 3, 5))
    met = access.of(view).reshape((1, 2, 4, 3, 5))
    assert np.array_equal(met.places(), places(view).reshape(1, 2, 4, 3, 5))
    assert access.of(view).reshape((8, 15)) is not None and access.of(view).reshape((12, 10)) is None


def test_loops_over_two():
    source = access.of(plain("float32", (6, 4))).reshape((24,))
    target = access.of(View("float32", (24,), (2,)))
    assert access.together(target, source) == ([24], [2], [1])
    target = access.Access((((2, 100), (12, 1)),))
    source = access.Access((((6, 7), (4, 1)),))
    assert access.together(target, source) == ([4, 3, 2], [1, 4, 100], [1, 7, 21])
    assert access.together(access.Access((((3, 9), (8, 1)),)), access.Access((((4, 9), (6, 1)),))) is None
