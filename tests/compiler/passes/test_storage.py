"""Memory of buffers: what works in place, where each buffer lies, and what does not fit."""

import numpy as np
import pytest

from tests.compiler.programs import const, element_nest, loops, run_interpreted, run_on_device
from weft.compiler.expr import Load, binary
from weft.compiler.passes import PlacedAlloc
from weft.compiler.passes.rewrite import accesses, allocations
from weft.compiler.passes.storage import in_place, place
from weft.compiler.passes.vthread import privatise
from weft.compiler.stmt import Alloc, Buffer, LoopProgram, Seq, Store
from weft.isa import DEFAULT, WeftError

COUNT = 5
SHAPE = (COUNT, 1, 16)
X, Y = Buffer("x", SHAPE, "int8"), Buffer("y", SHAPE, "int8")


def scratch(name: str, count: int = COUNT, scope: str = "acc") -> Buffer:
    return Buffer(name, (count, 1, 16), {"acc": "int32", "inp": "int8"}[scope], scope)


def elementwise(target: Buffer, value) -> object:
    return element_nest(DEFAULT, [("i", COUNT)], lambda i, n, c: Store(target, (i, n, c), value(i, n, c)))


def chain(*steps, buffers) -> LoopProgram:
    """x into the first buffer, the steps, the last buffer into y."""
    body = Seq([elementwise(buffers[0], lambda *i: Load(X, i).astype("int32")), *steps,
                elementwise(Y, lambda *i: Load(buffers[-1], i).astype("int8"))])
    for buffer in reversed(buffers):
        body = Alloc(buffer, body)
    return LoopProgram("test", {"x": X, "y": Y}, body)


def given() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(2).integers(-128, 128, SHAPE, np.int8)}


def buffers_of(program: LoopProgram) -> list[str]:
    return [a.buffer.name for a in allocations(program.body)]


def test_a_chain_works_in_one_buffer():
    a, b, c = scratch("a"), scratch("b"), scratch("c")
    program = chain(elementwise(b, lambda *i: binary("max", Load(a, i), 0)),
                    elementwise(c, lambda *i: Load(b, i).shift_right(const(1))), buffers=(a, b, c))
    expected = run_interpreted(program, given())
    aliased = in_place(program, DEFAULT)
    assert buffers_of(aliased) == ["a"]
    assert np.array_equal(run_interpreted(aliased, given())["y"], expected["y"])
    assert np.array_equal(run_on_device(program, given(), DEFAULT)["y"], expected["y"])


def test_a_sum_of_two_takes_the_memory_of_one():
    a, b, c = scratch("a"), scratch("b"), scratch("c")
    load = elementwise(b, lambda *i: Load(X, i).astype("int32"))
    program = chain(load, elementwise(c, lambda *i: Load(a, i) + Load(b, i)), buffers=(a, b, c))
    assert buffers_of(in_place(program, DEFAULT)) == ["a", "b"]
    assert np.array_equal(run_on_device(program, given(), DEFAULT)["y"], run_interpreted(program, given())["y"])


def test_a_mere_copy_vanishes():
    a, b = scratch("a"), scratch("b")
    aliased = in_place(chain(elementwise(b, lambda *i: Load(a, i)), buffers=(a, b)), DEFAULT)
    assert buffers_of(aliased) == ["a"] and len(list(accesses(aliased.body))) == 2


def test_what_is_used_afterwards_stays():
    a, b = scratch("a"), scratch("b")
    again = elementwise(b, lambda *i: binary("max", Load(b, i), Load(a, i)))
    program = chain(elementwise(b, lambda *i: Load(a, i) * 2), again, buffers=(a, b))
    assert buffers_of(in_place(program, DEFAULT)) == ["a", "b"]


def test_what_was_written_before_stays():
    a, b = scratch("a"), scratch("b")
    program = chain(elementwise(b, lambda *i: const(1)), elementwise(b, lambda *i: Load(a, i) + Load(b, i)), buffers=(a, b))
    assert buffers_of(in_place(program, DEFAULT)) == ["a", "b"]


def test_other_indices_stay():
    a, b = scratch("a"), scratch("b")
    turned = elementwise(b, lambda i, n, c: Load(a, (COUNT - 1 - i, n, c)) * 2)
    assert buffers_of(in_place(chain(turned, buffers=(a, b)), DEFAULT)) == ["a", "b"]


def test_a_loop_that_comes_back_to_the_source_stays():
    a, b = scratch("a"), scratch("b")
    inner = loops([("t", 2)], lambda t: Seq([elementwise(a, lambda *i: Load(a, i) + 1),
                                             elementwise(b, lambda *i: Load(a, i) * 2)]))
    program = chain(inner, buffers=(a, b))
    assert buffers_of(in_place(program, DEFAULT)) == ["a", "b"]


def test_bases_follow_one_another_and_branches_share():
    a, b, c, d = scratch("a", 10), scratch("b", 20), scratch("c", 30), scratch("d", 7, "inp")
    program = LoopProgram("test", {}, Alloc(a, Seq([Alloc(b, Seq([])), Alloc(c, Alloc(d, Seq([])))])))
    placed = list(allocations(place(program, DEFAULT).body))
    assert all(isinstance(p, PlacedAlloc) for p in placed)
    assert {p.buffer.name: p.base for p in placed} == {"a": 0, "b": 10, "c": 10, "d": 0}


def test_what_does_not_fit_is_named():
    big, small = scratch("image", 2040), scratch("sums", 9)
    with pytest.raises(WeftError) as error:
        place(LoopProgram("conv", {}, Alloc(big, Alloc(small, Seq([])))), DEFAULT)
    assert str(error.value) == (
        "program 'conv', buffer 'sums': what lives together in acc must fit its 2048 elements on config 'default', but "
        "found 9 elements (shape [9, 1, 16]), with 2040 taken by image; "
        "try: smaller tiles, fewer virtual threads, or a larger acc_buffer")


def test_two_threads_have_a_half_of_acc_each():
    """Of three or four each has a quarter; other scratchpads are dense."""
    def nest(threads, scope="acc", dtype="int32"):
        a, b = (Buffer(name, (3, 1, 16), dtype, scope) for name in "ab")
        store = lambda buffer: loops([("i", 3), ("n", 1), ("c", 16)], lambda i, n, c: Store(buffer, (i, n, c), const(0)))
        body = loops([("t", threads)], lambda t: Alloc(a, Seq([store(a), Alloc(b, store(b))])), kinds={"t": "vthread"})
        return place(privatise(LoopProgram("test", {}, body), DEFAULT), DEFAULT)

    placed = lambda program: [(a.buffer.name, a.base, a.spacing) for a in allocations(program.body)]
    assert placed(nest(2)) == [("a", 0, 1024), ("b", 3, 1024)]
    assert placed(nest(3)) == placed(nest(4)) == [("a", 0, 512), ("b", 3, 512)]
    assert placed(nest(2, "inp", "int8")) == [("a", 0, 0), ("b", 6, 0)]
