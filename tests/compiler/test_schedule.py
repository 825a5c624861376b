"""Schedule primitives one by one: the loops before and after, equal results, and what each refuses."""

import numpy as np
import pytest

from weft.compiler import interpret, te
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.isa import WeftError


class Example:
    """b = x + 1, c[i, j] = b[i, j] + b[i + 1, j], sizes 6 x 5."""

    def __init__(self):
        self.x = te.placeholder("x", {"i": 7, "j": 5}, "int32")
        self.b = te.compute("b", {"i": 7, "j": 5}, lambda i, j: self.x[i, j] + 1, element_rank=1)
        self.c = te.compute("c", {"i": 6, "j": 5}, lambda i, j: self.b[i, j] + self.b[i + 1, j], element_rank=1)
        self.s = Schedule(self.c)

    def program(self):
        return lower(self.s, "example", {"x": self.x, "c": self.c})

    def text(self) -> str:
        return "\n".join(str(self.program()).splitlines()[1:])

    def check(self):
        x = np.random.default_rng(0).integers(-99, 99, (7, 5)).astype(np.int32)
        c = np.zeros((6, 5), np.int32)
        interpret.run(self.program(), {"x": x, "c": c})
        assert np.array_equal(c, (x + 1)[:-1] + (x + 1)[1:])


BEFORE = """\
  alloc b: int32[7, 5] in dram
  for i in range(7):
    for j in range(5):
      b[i, j] = (x[i, j] + 1)
  for i in range(6):
    for j in range(5):
      c[i, j] = (b[i, j] + b[(i + 1), j])"""


def split(e: Example):
    e.s[e.c].split(e.c.axes[0], 4)


def split_evenly(e: Example):
    e.s[e.c].split(e.c.axes[0], 3)


def split_twice(e: Example):
    outer, _ = e.s[e.c].split(e.c.axes[0], 2)
    e.s[e.c].split(outer, 2)


def reorder(e: Example):
    e.s[e.c].reorder(*reversed(e.c.axes))


def fuse(e: Example):
    e.s[e.c].fuse(*e.c.axes)


def set_scope(e: Example):
    e.s[e.b].set_scope("acc")


def compute_at(e: Example):
    stage = e.s[e.c]
    outer, _ = stage.split(e.c.axes[0], 4)
    e.s[e.b].compute_at(stage, outer)


def compute_inline(e: Example):
    e.s[e.b].compute_inline()


def cache_read(e: Example):
    copy = e.s.cache_read(e.x, "acc", [e.b])
    e.s[copy].compute_at(e.s[e.b], e.b.axes[0])


def cache_write(e: Example):
    copy = e.s.cache_write(e.c, "acc")
    e.s[copy].compute_at(e.s[e.c], e.c.axes[0])


def tensorize(e: Example):
    e.s[e.c].tensorize(e.c.axes[1], "alu")


def kinds(e: Example):
    stage = e.s[e.c]
    outer, inner = stage.split(e.c.axes[0], 2)
    stage.parallel(outer)
    stage.unroll(inner)
    stage.vectorise(e.c.axes[1])


def vthread(e: Example):
    stage = e.s[e.c]
    outer, _ = stage.split(e.c.axes[0], 2)
    turn, thread = stage.split(outer, 2)
    stage.vthread(thread)
    e.s[e.b].compute_at(stage, thread)


def bind(e: Example):
    stage = e.s[e.c]
    outer, inner = stage.split(e.c.axes[0], 3)
    stage.bind(outer, "blockIdx.x")
    stage.bind(inner, "threadIdx.x")
    e.s[e.b].compute_at(stage, inner)
    e.s[e.b].set_scope("local")


HEAD = "\n".join(BEFORE.splitlines()[:4]) + "\n"
GOLDEN = {
    split: HEAD + """\
  for i_o in range(2):
    for i_i in range(min(4, (6 - (i_o * 4)))):
      for j in range(5):
        c[((i_o * 4) + i_i), j] = (b[((i_o * 4) + i_i), j] + b[(((i_o * 4) + i_i) + 1), j])""",
    split_evenly: HEAD + """\
  for i_o in range(2):
    for i_i in range(3):
      for j in range(5):
        c[((i_o * 3) + i_i), j] = (b[((i_o * 3) + i_i), j] + b[(((i_o * 3) + i_i) + 1), j])""",
    split_twice: HEAD + """\
  for i_o_o in range(2):
    for i_o_i in range(min(2, (3 - (i_o_o * 2)))):
      for i_i in range(2):
        for j in range(5):
          c[(((i_o_o * 4) + (i_o_i * 2)) + i_i), j] = (b[(((i_o_o * 4) + (i_o_i * 2)) + i_i), j] + \
b[((((i_o_o * 4) + (i_o_i * 2)) + i_i) + 1), j])""",
    reorder: HEAD + """\
  for j in range(5):
    for i in range(6):
      c[i, j] = (b[i, j] + b[(i + 1), j])""",
    fuse: HEAD + """\
  for i_j in range(30):
    c[(i_j // 5), (i_j % 5)] = (b[(i_j // 5), (i_j % 5)] + b[((i_j // 5) + 1), (i_j % 5)])""",
    set_scope: BEFORE.replace("in dram", "in acc"),
    compute_at: """\
  for i_o in range(2):
    alloc b: int32[5, 5] in dram
    for i in range(min(5, (7 - (i_o * 4)))):
      for j in range(5):
        b[i, j] = (x[((i_o * 4) + i), j] + 1)
    for i_i in range(min(4, (6 - (i_o * 4)))):
      for j in range(5):
        c[((i_o * 4) + i_i), j] = (b[i_i, j] + b[(i_i + 1), j])""",
    compute_inline: """\
  for i in range(6):
    for j in range(5):
      c[i, j] = ((x[i, j] + 1) + (x[(i + 1), j] + 1))""",
    cache_read: """\
  alloc b: int32[7, 5] in dram
  for i in range(7):
    alloc x_acc: int32[1, 5] in acc
    for i in range(1):
      for j in range(5):
        x_acc[i, j] = x[(i + i), j]
    for j in range(5):
      b[i, j] = (x_acc[0, j] + 1)
  for i in range(6):
    for j in range(5):
      c[i, j] = (b[i, j] + b[(i + 1), j])""",
    cache_write: HEAD + """\
  for i in range(6):
    alloc c_acc: int32[1, 5] in acc
    for j in range(5):
      c_acc[0, j] = (b[i, j] + b[(i + 1), j])
    for j in range(5):
      c[i, j] = c_acc[0, j]""",
    tensorize: BEFORE[:BEFORE.rindex("    for")] + """\
    for j in range(5):  # tensorize alu
      c[i, j] = (b[i, j] + b[(i + 1), j])""",
    kinds: BEFORE[:BEFORE.index("  for i in range(6)")] + """\
  parallel i_o in range(3):
    unroll i_i in range(2):
      vectorise j in range(5):
        c[((i_o * 2) + i_i), j] = (b[((i_o * 2) + i_i), j] + b[(((i_o * 2) + i_i) + 1), j])""",
    vthread: """\
  for i_o_o in range(2):
    vthread i_o_i in range(min(2, (3 - (i_o_o * 2)))):
      alloc b: int32[3, 5] in dram
      for i in range(min(3, ((7 - (i_o_o * 4)) - (i_o_i * 2)))):
        for j in range(5):
          b[i, j] = (x[(((i_o_o * 4) + (i_o_i * 2)) + i), j] + 1)
      for i_i in range(2):
        for j in range(5):
          c[(((i_o_o * 4) + (i_o_i * 2)) + i_i), j] = (b[i_i, j] + b[(i_i + 1), j])""",
    bind: """\
  blockIdx.x i_o in range(2):
    threadIdx.x i_i in range(3):
      alloc b: int32[2, 5] in local
      for i in range(2):
        for j in range(5):
          b[i, j] = (x[(((i_o * 3) + i_i) + i), j] + 1)
      for j in range(5):
        c[((i_o * 3) + i_i), j] = (b[0, j] + b[1, j])""",
}


def test_without_a_schedule():
    assert Example().text() == BEFORE
    Example().check()


@pytest.mark.parametrize("primitive", GOLDEN, ids=lambda p: p.__name__)
def test_loops_after(primitive):
    example = Example()
    primitive(example)
    assert example.text() == GOLDEN[primitive]


@pytest.mark.parametrize("primitive", GOLDEN, ids=lambda p: p.__name__)
def test_the_meaning_stays(primitive):
    example = Example()
    primitive(example)
    example.check()


def test_cache_write_in_acc_narrows_on_the_way_out():
    x = te.placeholder("x", {"i": 4}, "int8", 1)
    y = te.compute("y", {"i": 4}, lambda i: (x[i].astype("int32") * 3).astype("int8"), 1)
    s = Schedule(y)
    wide = s.cache_write(y, "acc")
    s.cache_read(x, "acc", [wide])
    assert str(lower(s, "narrow", {"x": x, "y": y})).splitlines()[1:] == [
        "  alloc x_acc: int32[4] in acc",
        "  for i in range(4):", "    x_acc[i] = int32(x[i])",
        "  alloc y_acc: int32[4] in acc",
        "  for i in range(4):", "    y_acc[i] = (x_acc[i] * 3)",
        "  for i in range(4):", "    y[i] = int8(y_acc[i])"]


REFUSED = [
    (lambda e: e.s[e.c].split(e.c.axes[0], 0),
     "split needs a factor of at least 1, but found 0; try: 1 to the loop's extent"),
    (lambda e: e.s[e.c].split(e.b.axes[0], 2),
     "split takes one of the stage's loops (i, j), but found 'i'; try: an axis that was not split or fused before"),
    (lambda e: e.s[e.c].reorder(e.c.axes[0], e.c.axes[0]), "reorder takes a loop once, but found i, i; try: no repetitions"),
    (lambda e: e.s[e.c].reorder(*reversed(e.s[e.c].split(e.c.axes[0], 4))),
     "the inner loop of a split with a tail stays inside the outer one, but found i_i outside of i_o; try: a factor that "
     "divides 6"),
    (lambda e: e.s[e.c].fuse(*reversed(e.c.axes)),
     "fuse takes two neighbouring loops, both of data or both of reduction, the outer one first, but found j, i; try: "
     "reorder first"),
    (lambda e: e.s[e.c].set_scope("heap"),
     "a scope is one of dram, inp, wgt, acc, qnt, lut, local, reg, shared, but found 'heap'; try: one of these"),
    (lambda e: e.s[e.c].set_scope("acc"),
     "an output lives in dram, but found 'acc'; try: cache_write for a copy in a scratchpad"),
    (lambda e: e.s[e.c].compute_inline(),
     "only a definition without reduction that is no output can be inlined, but found an output; try: compute_at"),
    (lambda e: e.s[e.c].compute_at(e.s[e.b], e.b.axes[0]),
     "an output is computed at the root, but found compute_at b; try: compute_at for what it reads"),
    (lambda e: e.s[e.c].tensorize(e.c.axes[0], "gem"),
     "tensorize takes one of gemm, depthwise, alu, reset, load, store, dot4, dp4a, mma, but found 'gem'; try: one of these"),
    (lambda e: e.s[e.c].bind(e.c.axes[0], "lane"),
     "bind takes one of blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, but found 'lane'; try: one "
     "of these"),
    (lambda e: [e.s[e.c].bind(axis, "threadIdx.x") for axis in e.c.axes],
     "two loops of a stage are two threads, but found threadIdx.x for both; try: fuse the loops, or another name"),
    (lambda e: e.s[e.c].set_pitch(e.b.axes[0], 8),
     "set_pitch takes one of the tensor's own axes, but found 'i'; try: one of i, j"),
    (lambda e: (e.s[e.c].split(e.c.axes[0], 2), e.s.cache_write(e.c, "acc")),
     "cache_write comes before the loops are changed, but found loops that were split or reordered; try: cache_write first"),
    (lambda e: e.s.cache_read(e.x, "acc", [e.c]),
     "cache_read takes stages that read the tensor, but found no access of 'x'; try: its readers"),
]


@pytest.mark.parametrize("use, message", REFUSED)
def test_refusals(use, message):
    with pytest.raises(WeftError) as error:
        use(Example())
    assert str(error.value) == f"stage 'c': {message}"


def test_a_reduction_is_no_virtual_thread():
    x = te.placeholder("x", {"k": 4}, "int32", 1)
    k = te.reduce_axis("k", 4)
    y = te.compute("y", {"i": 1}, lambda i: te.sum(x[k], [k]), 1)
    with pytest.raises(WeftError) as error:
        Schedule(y)[y].vthread(k)
    assert str(error.value) == ("stage 'y': a virtual thread is a loop over data, but found reduction axis 'k'; "
                                "try: a data axis")


def test_a_reduction_is_no_parallel_loop():
    x = te.placeholder("x", {"k": 4}, "int32", 1)
    k = te.reduce_axis("k", 4)
    y = te.compute("y", {"i": 1}, lambda i: te.sum(x[k], [k]), 1)
    with pytest.raises(WeftError) as error:
        Schedule(y)[y].parallel(k)
    assert str(error.value) == "stage 'y': a parallel loop is one over data, but found reduction axis 'k'; try: a data axis"


def test_a_placeholder_has_no_stage():
    example = Example()
    with pytest.raises(WeftError) as error:
        example.s[example.x]
    assert str(error.value) == ("tensor 'x': a stage belongs to a tensor that the schedule computes, but found a "
                                "placeholder; try: cache_read for a copy")
