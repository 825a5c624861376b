"""Lowering: regions and tails are exact, any legal schedule means the same, and stages out of reach are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.compiler import interpret, te
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.compiler.stmt import Alloc, For, LoopProgram, Seq, Stmt
from weft.isa import WeftError


class Correlation:
    """y[i, j] = sum over k, l of (x[stride * i + k, j + l] + 1) * w[k, l], with the sum and the 1 as stages of their own."""

    def __init__(self, rows: int, columns: int, taps: int, stride: int):
        h, w = (rows - 1) * stride + taps, columns + taps - 1
        self.x = te.placeholder("x", {"h": h, "v": w}, "int32")
        self.w = te.placeholder("w", {"k": taps, "l": taps}, "int32")
        self.more = te.compute("more", {"h": h, "v": w}, lambda i, j: self.x[i, j] + 1)
        k, m = te.reduce_axis("k", taps), te.reduce_axis("l", taps)
        self.sums = te.compute("sums", {"i": rows, "j": columns}, lambda i, j: te.sum(
            self.more[i * stride + k, j + m] * self.w[k, m], [k, m]))
        self.y = te.compute("y", {"i": rows, "j": columns}, lambda i, j: self.sums[i, j] * 2)
        self.stride = stride

    def program(self, schedule: Schedule) -> LoopProgram:
        return lower(schedule, "correlation", {"x": self.x, "w": self.w, "y": self.y})

    def check(self, schedule: Schedule):
        rng = np.random.default_rng(0)
        arrays = {t.name: rng.integers(-99, 99, t.shape).astype(np.int32) for t in (self.x, self.w, self.y)}
        interpret.run(self.program(schedule), arrays)
        windows = np.lib.stride_tricks.sliding_window_view(arrays["x"] + 1, self.w.shape)[::self.stride]
        assert np.array_equal(arrays["y"], 2 * (windows * arrays["w"]).sum((2, 3)))


@settings(max_examples=100)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.data())
def test_any_schedule_means_the_same(rows, columns, taps, stride, data):
    """Random splits, twice over, random orders, caches and places; order is drawn so that tails stay inside."""
    c = Correlation(rows, columns, taps, stride)
    s = Schedule(c.y)
    factor = st.integers(1, 10)
    y = s[c.y]
    i, j = y.leaves
    io, ii = y.split(i, data.draw(factor))
    jo, ji = y.split(j, data.draw(factor))
    ioo, ioi = y.split(io, data.draw(factor))
    y.reorder(*data.draw(st.sampled_from([(ioo, ioi, jo, ii, ji), (jo, ioo, ioi, ji, ii), (ioo, jo, ioi, ji, ii),
                                          (jo, ji, ioo, ioi, ii)])))
    if data.draw(st.booleans()):
        y.vthread(data.draw(st.sampled_from([ioo, ioi, jo])))
    s[c.sums].set_scope("acc")
    if data.draw(st.booleans()):
        s[c.sums].compute_at(y, data.draw(st.sampled_from(y.leaves)))
    k, m = c.sums.body.axes
    ko, ki = s[c.sums].split(k, data.draw(factor))
    a, b = c.sums.axes
    s[c.sums].reorder(*data.draw(st.permutations([ko, m, a])), *data.draw(st.permutations([ki, b])))
    copy = s.cache_read(c.w, "wgt", [c.sums])
    readers = {copy: s[c.sums], c.more: s[c.sums]}
    for tensor, reader in readers.items():
        place = data.draw(st.sampled_from(["root", "inner", "outer", "inline"]))
        if place == "inline":
            s[tensor].compute_inline()
        elif place == "inner" or (place == "outer" and s[c.sums].attach is None):
            s[tensor].compute_at(reader, data.draw(st.sampled_from(reader.leaves)))
        elif place == "outer":
            outer, at = s[c.sums].attach
            s[tensor].compute_at(outer, data.draw(st.sampled_from(outer.leaves[:outer.leaves.index(at) + 1])))
    c.check(s)


def test_a_tile_holds_what_its_outputs_see_and_no_more():
    c = Correlation(rows=10, columns=8, taps=3, stride=2)
    s = Schedule(c.y)
    outer, _ = s[c.y].split(c.y.axes[0], 4)
    s[c.sums].compute_at(s[c.y], outer)
    s[c.more].compute_at(s[c.y], outer)
    assert [str(b) for b in buffers(c.program(s).body)] == ["more: int32[9, 10] in dram", "sums: int32[4, 8] in dram"]
    assert extents(c.program(s).body, "h") == ["min(9, (21 - (i_o * 8)))"]
    c.check(s)


def test_a_copy_outside_of_a_split_loop_ends_with_the_tensor():
    """Outside of the tiles the region is all of the axis, not the number of tiles times their size."""
    c = Correlation(rows=10, columns=8, taps=1, stride=1)
    s = Schedule(c.y)
    s[c.y].split(c.y.axes[0], 4)
    s[c.sums].compute_root()
    assert [str(b) for b in buffers(c.program(s).body)] == ["more: int32[10, 8] in dram", "sums: int32[10, 8] in dram"]


def test_a_reduction_begins_before_its_outermost_loop():
    c = Correlation(rows=2, columns=2, taps=2, stride=1)
    s = Schedule(c.y)
    s[c.more].compute_inline()
    k, m = c.sums.body.axes
    i, j = c.sums.axes
    s[c.sums].reorder(i, k, j, m)
    s[c.sums].tensorize(j, "gemm")
    assert str(c.program(s)).splitlines()[1:10] == [
        "  alloc sums: int32[2, 2] in dram",
        "  for i in range(2):",
        "    for j in range(2):  # tensorize reset",
        "      sums[i, j] = 0",
        "    for k in range(2):",
        "      for j in range(2):  # tensorize gemm",
        "        for l in range(2):",
        "          sums[i, j] = (sums[i, j] + ((x[(i + k), (j + l)] + 1) * w[k, l]))",
        "  for i in range(2):"]


def test_a_maximum_begins_with_reset_and_add():
    x = te.placeholder("x", {"k": 3}, "int32", 1)
    k = te.reduce_axis("k", 3)
    y = te.compute("y", {"i": 1}, lambda i: te.max(x[k], [k], -128), 1)
    assert str(lower(Schedule(y), "largest", {"x": x, "y": y})).splitlines()[1:] == [
        "  for i in range(1):",
        "    y[i] = 0",
        "    y[i] = (y[i] + -128)",
        "    for k in range(3):",
        "      y[i] = max(y[i], x[k])"]


def test_a_reader_outside_of_the_loop_is_refused():
    c = Correlation(4, 4, 1, 1)
    other = te.compute("other", {"i": 4, "j": 4}, lambda i, j: c.sums[i, j] + c.y[i, j])
    s = Schedule(other)
    s[c.sums].compute_at(s[c.y], c.y.axes[0])
    with pytest.raises(WeftError) as error:
        lower(s, "two", {"x": c.x, "w": c.w, "other": other})
    assert str(error.value) == ("stage 'sums': all readers of a stage are within the loop that it is computed at, but "
                                "found 'other' is not; try: compute_at an outer loop, or at the root")


def test_a_stage_is_not_computed_within_what_it_reads():
    c = Correlation(4, 4, 1, 1)
    s = Schedule(c.y)
    s[c.sums].compute_at(s[c.more], c.more.axes[0])
    with pytest.raises(WeftError) as error:
        c.program(s)
    assert str(error.value) == ("stage 'sums': a stage is computed within one that comes after it and reads it, but found "
                                "'more'; try: compute_at a reader")


def test_a_loop_that_is_gone_is_refused():
    c = Correlation(4, 4, 1, 1)
    s = Schedule(c.y)
    s[c.sums].compute_at(s[c.y], c.y.axes[0])
    s[c.y].split(c.y.axes[0], 2)
    with pytest.raises(WeftError) as error:
        c.program(s)
    assert str(error.value) == ("stage 'sums': compute_at takes a loop of the other stage, but found 'i', which was split "
                                "or fused since; try: compute_at after the other stage's loops are final")


def test_a_placeholder_that_is_no_argument_is_refused():
    c = Correlation(4, 4, 1, 1)
    with pytest.raises(WeftError) as error:
        lower(Schedule(c.y), "partial", {"x": c.x, "y": c.y})
    assert str(error.value) == ("tensor 'w': a placeholder is an argument of the program, but found it is none; "
                                "try: arguments")


def walk(stmt: Stmt):
    yield stmt
    for inner in stmt.body if isinstance(stmt, Seq) else [stmt.body] if isinstance(stmt, For | Alloc) else []:
        yield from walk(inner)


def buffers(stmt: Stmt):
    return [s.buffer for s in walk(stmt) if isinstance(s, Alloc)]


def extents(stmt: Stmt, name: str):
    return [str(s.extent) for s in walk(stmt) if isinstance(s, For) and s.var.name == name]


def test_a_reduction_of_floats_begins_with_its_init():
    """A number, or an expression of the other axes; in registers integers do as well."""
    x, bias = te.placeholder("x", {"i": 2, "k": 3}, "float32", 0), te.placeholder("bias", {"i": 2}, "float32", 0)
    k = te.reduce_axis("k", 3)
    low = te.compute("low", {"i": 2}, lambda i: te.min(x[i, k], [k], 9.0), 0)
    y = te.compute("y", {"i": 2}, lambda i: te.sum(x[i, k] + low[i], [k], bias[i]), 0)
    s = Schedule(y)
    s[low].set_scope("reg")
    s[low].compute_at(s[y], s[y].leaves[0])
    s[y].vectorise(s[y].leaves[0])
    program = lower(s, "sums", {"x": x, "bias": bias, "y": y})
    assert str(program).splitlines()[1:] == """\
  vectorise i in range(2):
    alloc low: float32[1] in reg
    low[0] = 9.0
    for k in range(3):
      low[0] = min(low[0], x[i, k])
    y[i] = bias[i]
    for k in range(3):
      y[i] = (y[i] + (x[i, k] + low[0]))""".splitlines()
    values = {"x": np.array([[1, 2, 3], [10, 20, 30]], np.float32), "bias": np.float32([1, 2]), "y": np.zeros(2, np.float32)}
    interpret.run(program, values)
    assert values["y"].tolist() == [10, 89]


def test_a_division_of_split_loops_is_gone():
    x = te.placeholder("x", {"b": 4, "l": 8}, "float32", 0)
    y = te.compute("y", {"i": 29}, lambda i: x[i // 8, i % 8] * 2.0, 0)
    s = Schedule(y)
    s[y].split(s[y].leaves[0], 8)
    assert "y[((i_o * 8) + i_i)] = (x[i_o, i_i] * 2.0)" in str(lower(s, "blocks", {"x": x, "y": y}))
