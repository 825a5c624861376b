"""Loops over points: as few as memory allows, in its order."""

import numpy as np
from llvmlite import ir

from weft.compiler.cpu import points
from weft.compiler.cpu.emit import emit
from weft.compiler.cpu.kernel import channels_last, plain
from weft.compiler.cpu.points import Loop, Operand
from weft.compiler.stmt import For
from weft.llvm.machine import FORMS


def loops(sizes, *strides):
    return points.loops(sizes, [Operand(str(k), "float32", s, 0, 1) for k, s in enumerate(strides)])


def test_neighbours_are_one_loop():
    assert loops((2, 3, 4), (12, 4, 1), (12, 4, 1)) == [Loop(24, (1, 1))]
    assert loops((2, 3, 4), (12, 4, 1), (0, 4, 1)) == [Loop(2, (12, 0)), Loop(12, (1, 1))]
    assert loops((2, 3, 4), (12, 4, 1), (0, 0, 1)) == [Loop(6, (4, 0)), Loop(4, (1, 1))]
    assert loops((1, 1), (1, 1), (0, 0)) == [Loop(1, (1, 1))]


def test_they_run_in_the_order_of_what_is_written():
    """An image of the caller's to one with its channels last."""
    shape = (1, 5, 2, 3)
    outer, inner = loops(shape, channels_last("float32", shape).strides, plain("float32", shape).strides)
    assert (outer, inner) == (Loop(6, (16, 1)), Loop(5, (1, 6)))


def test_long_loops_are_shared():
    assert points.shared([Loop(1000, (1,))]) == [Loop(1000, (1,))]
    outer, inner = points.shared([Loop(64 * 160, (1, 2))])
    assert (outer, inner) == (Loop(64, (160, 320)), Loop(160, (1, 2)))
    assert points.shared([Loop(10007, (1,))]) == [Loop(10007, (1,))]  # a prime


def test_extents_take_whole_vectors_where_all_have_them():
    image, narrow = channels_last("float32", (1, 20, 3, 3)), plain("float32", (1, 20, 3, 3))
    assert points.extents(image, [(image, image.strides)]) == (1, 32, 3, 3)
    assert points.extents(image, [(narrow, narrow.strides)]) == (1, 20, 3, 3)
    assert points.extents(image, [(narrow, (0, 0, 0, 0))]) == (1, 32, 3, 3)
    assert points.extents(narrow) == (1, 20, 3, 3)


def test_constants_are_filled_up_with_zeros():
    made = points.constant("c", np.arange(3, dtype=np.float32).reshape(3, 1, 1), (1, 16, 5, 5))
    assert made.strides == (0, 1, 0, 0) and made.values.tolist() == [0, 1, 2] + [0] * 13


def test_equal_kernels_have_equal_text():
    def text(x, y):
        view = plain("float32", (4, 32))
        made = points.kernel("any", (4, 32), points.whole(y, view), [points.whole(x, view)], lambda value: value * 2.0)
        assert isinstance(made.program.body, For) and made.program.body.kind == "parallel"
        assert list(made.program.arguments) == [x, y]
        module = ir.Module("m")
        emit(made.program, "kernel", FORMS["plain"], module)
        return str(module)

    assert text("a", "b") == text("c", "d")
