"""Machine code of loop programs against the interpreter, in each form that this CPU can run."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from llvmlite import ir

from tests.compiler.cpu.programs import FORMS, agree, each_form, random
from weft.compiler import te
from weft.compiler.cpu.emit import emit
from weft.compiler.cpu.kernel import channels_last, plain
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.isa import WeftError


@each_form
@pytest.mark.parametrize("shape", [(1, 5, 3, 4), (2, 16, 2, 7), (1, 3, 4, 4)])
def test_layouts_are_strides(form, shape):
    """From NCHW to channels last with a border, and a shift of the image, which reads the border."""
    rng = np.random.default_rng(3)
    source, target = plain("float32", shape), channels_last("float32", shape, (1, 2, 1, 1))
    x = source.placeholder("x")
    y = te.compute("y", dict(zip("nchw", shape)), lambda *i: x[i] + 1.0, 0, target.strides,
                   tuple(a for a, _ in target.around))
    s = Schedule(y)
    n, c, h, w = s[y].leaves
    s[y].reorder(n, h, w, c)
    s[y].vectorise(c)
    s[y].parallel(n)
    arrays = {"x": random(rng, "float32", source.elements),
              "y": np.zeros(1 + sum((n + a - 1) * t for n, (a, _), t in zip(shape, target.around, target.strides)),
                            np.float32)}
    result = agree(lower(s, "p", {"x": x, "y": y}), form, arrays, shape[0], shape[0])["y"]
    x = target.placeholder("x")
    y = te.compute("y", dict(zip("nchw", shape)), lambda n, c, h, w: x[n, c, h - 1, w + 1], 0)
    full = np.zeros(target.elements, np.float32)
    full[:result.size] = result
    agree(lower(Schedule(y), "q", {"x": x, "y": y}), form, {"x": full, "y": np.zeros(shape, np.float32)})


def code(y, arguments):
    emit(lower(y if isinstance(y, Schedule) else Schedule(y), "wrong", arguments), "wrong", FORMS[-1], ir.Module("m"))


def refused(change):
    x = te.placeholder("x", {"i": 8, "j": 6}, "float32", 0)
    z = te.compute("z", {"i": 8, "j": 6}, lambda i, j: x[i, j] * 2.0, 0)
    y = te.compute("y", {"i": 8, "j": 6}, lambda i, j: z[i, j] + 1.0, 0)
    s = Schedule(y)
    change(s, s[y], s[z])
    code(s, {"x": x, "y": y})


@pytest.mark.parametrize("change, message", [
    (lambda s, y, z: None,
     "buffer 'z': lives in reg, or in local with at most 262144 values, but found 48 values in dram; try: a kernel for "
     "each part, "
     "or a smaller tile"),
    (lambda s, y, z: (z.set_scope("local"), y.parallel(y.leaves[0]), z.parallel(z.leaves[0])),
     "program 'wrong': has at most one parallel loop, the outermost, but found i, i; try: one parallel loop, or several "
     "kernels"),
    (lambda s, y, z: (z.set_scope("local"), y.parallel(y.leaves[1])),
     "program 'wrong': has at most one parallel loop, the outermost, but found j; try: one parallel loop, or several "
     "kernels"),
    (lambda s, y, z: (z.set_scope("reg"), z.compute_at(y, y.leaves[0])),
     "buffer 'z': values in registers have indices that are known, lanes one apart, but found 0, j; try: unroll for the "
     "loops around"),
    (lambda s, y, z: (z.set_scope("local"), y.vectorise(y.leaves[0]), y.vectorise(y.leaves[1])),
     "loop j: no vectorised loop is within another, but found i around; try: unroll for one of them"),
    (lambda s, y, z: (z.set_scope("reg"), z.compute_at(y, y.leaves[0]), z.vectorise(z.leaves[1]), y.unroll(y.leaves[1])),
     "buffer 'z': values in registers are read as they were written, but found float of <6 x float>; try: equal loops for "
     "both"),
])
def test_refusals(change, message):
    with pytest.raises(WeftError) as error:
        refused(change)
    assert str(error.value).split(" (in")[0] == message


def test_tails_stay_within_loops_that_are_counted():
    x = te.placeholder("x", {"i": 7}, "float32", 0)
    y = te.compute("y", {"i": 7}, lambda i: x[i] * 2.0, 0)
    s = Schedule(y)
    outer, inner = s[y].split(s[y].leaves[0], 4)
    s[y].vectorise(outer)
    s[y].unroll(inner)
    with pytest.raises(WeftError) as error:
        code(s, {"x": x, "y": y})
    assert str(error.value) == ("loop i_i: to unroll it its extent must be known, but found min(4, (7 - (i_o * 4))); "
                                "try: a factor that divides, or serial loops outside of it")


class Blur:
    """y[i, j] = the largest of x[2 i + k, j] * w[k] + low[j] over k, less 1; low[j] = x[0, j] + x[1, j]; sizes do not
    divide."""

    def __init__(self, rows: int, columns: int, dtype: str):
        self.x = te.placeholder("x", {"h": 2 * rows + 1, "v": columns}, dtype, 0)
        self.w = te.placeholder("w", {"k": 3}, dtype, 0)
        self.low = te.compute("low", {"v": columns}, lambda j: self.x[0, j] + self.x[1, j], 0)
        k = te.reduce_axis("k", 3)
        most = lambda i, j: te.max(self.x[i * 2 + k, j] * self.w[k] + self.low[j], [k], -50)  # noqa: E731
        self.most = te.compute("most", {"i": rows, "j": columns}, most, 0)
        self.y = te.compute("y", {"i": rows, "j": columns}, lambda i, j: self.most[i, j] - 1, 0)


@each_form
@given(st.data())
@settings(max_examples=12, deadline=None)
def test_any_schedule_means_the_same(form, data):
    """Splits with tails, any order, any kinds of loops, stages at any loop of their reader, in memory or in registers."""
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    e = Blur(draw(1, 5), draw(1, 9), data.draw(st.sampled_from(("int32", "float32"))))
    s = Schedule(e.y)
    stage = s[e.y]
    (i, i_), (j, j_) = (stage.split(axis, draw(1, 4)) for axis in e.y.axes)
    order = data.draw(st.sampled_from(([i, j, i_, j_], [j, i, i_, j_], [i, i_, j, j_])))
    stage.reorder(*order)
    if data.draw(st.booleans()):
        stage.vectorise(order[-1])
    stage.unroll(order[2])
    turns = 1
    if data.draw(st.booleans()):
        stage.parallel(order[0])
        turns = order[0].extent
    s[e.most].set_scope("local")
    s[e.most].compute_at(stage, order[draw(0, 1)])
    rows, columns, k = s[e.most].leaves
    s[e.most].reorder(*data.draw(st.sampled_from(([k, rows, columns], [rows, k, columns], [rows, columns, k]))))
    if data.draw(st.booleans()):
        s[e.most].unroll(k)
    if data.draw(st.booleans()):
        s[e.low].compute_inline()
    else:
        s[e.low].set_scope("local")
        if data.draw(st.booleans()):
            s[e.low].compute_at(stage, order[0])
    program = lower(s, "blur", {"x": e.x, "w": e.w, "y": e.y})
    rng = np.random.default_rng(draw(0, 99))
    arrays = {name: random(rng, b.dtype, int(np.prod(b.shape))) for name, b in program.arguments.items()}
    calls = 2 if turns > 1 else 1
    agree(program, form, arrays, turns, calls, ulps=8)
