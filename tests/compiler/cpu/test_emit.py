"""Machine code of loop programs against the interpreter, in each form that this CPU can run."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from llvmlite import ir

from tests.compiler.cpu.programs import FORMS, agree
from weft.compiler import te
from weft.compiler.cpu.emit import emit
from weft.compiler.cpu.kernel import channels_last, plain
from weft.compiler.expr import Select, call
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.isa import WeftError

each_form = pytest.mark.parametrize("form", FORMS, ids=str)


def random(rng, dtype: str, values: int) -> np.ndarray:
    if dtype.startswith("float"):
        return rng.normal(0, 3, values).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, values, dtype, endpoint=True)


def flat(define, dtypes, n, axis=16, kinds=("vectorise",)):
    """A program of y[i] = define(x0[i], ..) with a loop split by `axis`; dtypes of the x."""
    xs = [te.placeholder(f"x{k}", {"i": n}, dtype, 0) for k, dtype in enumerate(dtypes)]
    y = te.compute("y", {"i": n}, lambda i: define(*(x[i] for x in xs)), 0)
    s = Schedule(y)
    outer, inner = s[y].split(s[y].leaves[0], axis)
    for kind in kinds:
        getattr(s[y], kind)(inner)
    s[y].parallel(outer)
    return lower(s, "flat", {**{x.name: x for x in xs}, "y": y}), -(-n // axis)


EXPRESSIONS = {
    "float32": (lambda a, b: a * b + a / (b * b + 1.0), ("float32", "float32")),
    "float64": (lambda a, b: (a - b) * 0.5, ("float64", "float64")),
    "relu": (lambda a: np.minimum(np.maximum(a, 0.0), 6.0), ("float32",)),
    "leaky": (lambda a: Select(a.lt(0.0), a * 0.125, a), ("float32",)),
    "int32 wraps": (lambda a, b: a * b - a, ("int32", "int32")),
    "bytes widen": (lambda a, b: a + b, ("uint8", "int8")),
    "bytes narrow": (lambda a: (a * 3 + 1).astype("uint8"), ("uint8",)),
    "bytes to float": (lambda a, b: a.astype("float32") * b.astype("float32"), ("uint8", "int8")),
    "float to bytes": (lambda a: np.minimum(np.maximum(a, -100.0), 100.0).astype("int8"), ("float32",)),
    "equal": (lambda a, b: Select(a.eq(b), a.astype("int32"), b + 1), ("int8", "int8")),
    "whole": (lambda a: call("floor", a) + call("round", a), ("float32",)),
    "root": (lambda a: call("sqrt", call("abs", a)), ("float32",)),
    "int64": (lambda a: a.astype("int64") * 3, ("int32",)),
    "division": (lambda a: a.astype("int32") // 3 + a.astype("int32") % 5, ("int8",)),
}


@each_form
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(form, name):
    define, dtypes = EXPRESSIONS[name]
    rng = np.random.default_rng(5)
    for n in (1, 16, 37):
        program, turns = flat(define, dtypes, n)
        arrays = {buffer.name: random(rng, buffer.dtype, n) for buffer in program.arguments.values()}
        agree(program, form, arrays, turns, 2, 4)


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


@each_form
@pytest.mark.parametrize("lanes", [1, 7, 16])
@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_reductions_along_lanes(form, op, lanes):
    rng = np.random.default_rng(1)
    x = te.placeholder("x", {"i": 3, "k": 3 * lanes}, "float32", 0)
    k = te.reduce_axis("k", 3 * lanes)
    y = te.compute("y", {"i": 3}, lambda i: getattr(te, op)(x[i, k], [k], init=0.5), 0)
    s = Schedule(y)
    s[y].vectorise(s[y].split(s[y].leaves[1], lanes)[1])
    agree(lower(s, "r", {"x": x, "y": y}), form, {"x": random(rng, "float32", 9 * lanes), "y": np.zeros(3, np.float32)},
          ulps=16)


@each_form
def test_lanes_that_lie_apart_and_conditions_of_a_lane(form):
    x, table = te.placeholder("x", {"i": 20}, "uint8", 0), te.placeholder("table", {"t": 256}, "int8", 0)
    y = te.compute("y", {"i": 2, "j": 8}, lambda i, j: Select((i * 8 + j * 2).lt(20),
                                                              table[x[i * 8 + j * 2].astype("int32")], table[0]), 0)
    s = Schedule(y)
    s[y].vectorise(s[y].leaves[1])
    rng = np.random.default_rng(2)
    agree(lower(s, "t", {"x": x, "table": table, "y": y}), form,
          {"x": random(rng, "uint8", 20), "table": random(rng, "int8", 256), "y": np.zeros(16, np.int8)})


def product(n: int, depth: int, tile: int, init=0):
    """y[i, o] = relu of sums of bytes, the sums in registers; a tail where the tile does not divide n."""
    x = te.placeholder("x", {"i": n, "k": depth, "b": 4}, "uint8", 0)
    w = te.placeholder("w", {"k": depth, "o": 16, "b": 4}, "int8", 0)
    k, b = te.reduce_axis("k", depth), te.reduce_axis("b", 4)
    sums = te.compute("sums", {"i": n, "o": 16},
                      lambda i, o: te.sum(x[i, k, b].astype("int32") * w[k, o, b].astype("int32"), [k, b], init), 0)
    y = te.compute("y", {"i": n, "o": 16}, lambda i, o: np.maximum(sums[i, o], 0), 0)
    s = Schedule(y)
    s[sums].set_scope("reg")
    i, o = s[y].leaves
    outer, inner = s[y].split(i, tile)
    s[y].parallel(outer)
    s[y].unroll(inner)
    s[y].vectorise(o)
    s[sums].compute_at(s[y], outer)
    i, o, k, b = s[sums].leaves
    s[sums].reorder(k, i, o, b)
    s[sums].unroll(i)
    s[sums].tensorize(o, "dot4")
    return lower(s, "product", {"x": x, "w": w, "y": y})


@each_form
@pytest.mark.parametrize("n, tile", [(1, 1), (8, 4), (7, 3), (5, 8)])
def test_sums_of_four_in_registers(form, n, tile):
    rng = np.random.default_rng(n)
    arrays = {"x": random(rng, "uint8", n * 12), "w": random(rng, "int8", 3 * 64), "y": np.zeros(16 * n, np.int32)}
    arrays["x"][:4], arrays["w"][:64] = 255, -128
    agree(product(n, 3, tile, 1), form, arrays, -(-n // tile), 2)


def code(y, arguments, **scopes):
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
    (lambda s, y, z: (z.set_scope("local"), y.tensorize(y.leaves[1], "dot4")),
     "loop j: dot4 is a loop over lanes of sums of four products of uint8 and int8, but found y[i, j] = (z[i, j] + 1.0); "
     "try: "
     "reorder, or a reduction axis of 4"),
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


@each_form
def test_a_product_of_bytes_reads_four_in_a_row(form):
    with pytest.raises(WeftError) as error:
        x = te.placeholder("x", {"k": 4, "i": 1}, "uint8", 0)
        w = te.placeholder("w", {"k": 4, "o": 16}, "int8", 0)
        r, k = te.reduce_axis("r", 1), te.reduce_axis("k", 4)
        y = te.compute("y", {"o": 16}, lambda o: te.sum(x[k, r].astype("int32") * w[k, o].astype("int32"), [r, k]), 0)
        s = Schedule(y)
        o, r, k = s[y].leaves
        s[y].reorder(r, o, k)
        s[y].tensorize(o, "dot4")
        code(s, {"x": x, "w": w, "y": y})
    assert str(error.value) == ("loop o: dot4 reads four neighbouring bytes, and lanes the same or the next four, but "
                                "found w[k, o]; "
                                "try: weights packed by four")


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


@each_form
def test_what_does_not_depend_on_the_lane_is_added_for_each(form):
    x, k = te.placeholder("x", {"i": 3}, "int32", 0), te.reduce_axis("k", 8)
    y = te.compute("y", {"i": 3}, lambda i: te.sum(x[i] * 2, [k]), 0)
    s = Schedule(y)
    s[y].vectorise(k)
    result = agree(lower(s, "r", {"x": x, "y": y}), form, {"x": np.array([1, 2, 3], np.int32), "y": np.zeros(3, np.int32)})
    assert result["y"].tolist() == [16, 32, 48]
