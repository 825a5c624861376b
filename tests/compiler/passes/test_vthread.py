"""Virtual threads: memory of their own, and the same result."""

import numpy as np

from tests.compiler.programs import const, loops, run_interpreted, run_on_device
from weft.compiler.expr import Const, Load, binary
from weft.compiler.passes.rewrite import allocations
from weft.compiler.passes.vthread import privatise
from weft.compiler.stmt import Alloc, Buffer, LoopProgram, Seq, Store
from weft.isa import DEFAULT

X, Y = Buffer("x", (11, 1, 16), "int8"), Buffer("y", (11, 1, 16), "int8")


def program(threads: int = 2) -> LoopProgram:
    """y = x + 1 in tiles of 2; the tiles are dealt to virtual threads, and the last one is short."""
    def tile(t, o):
        first = (o * threads + t) * 2
        acc = Buffer("acc", (2, 1, 16), "int32", "acc")
        axes = [("i", binary("min", Const(2), 11 - first)), ("n", 1), ("c", 16)]
        return Alloc(acc, Seq([
            loops(axes, lambda i, n, c: Store(acc, (i, n, c), Load(X, (first + i, n, c)).astype("int32"))),
            loops(axes, lambda i, n, c: Store(acc, (i, n, c), Load(acc, (i, n, c)) + const(1))),
            loops(axes, lambda i, n, c: Store(Y, (first + i, n, c), Load(acc, (i, n, c)).astype("int8")))]))

    turns = -(-11 // (2 * threads))
    body = loops([("t", threads), ("o", turns)], tile, kinds={"t": "vthread"})
    return LoopProgram("test", {"x": X, "y": Y}, body)


def given():
    return {"x": np.random.default_rng(5).integers(-128, 127, X.shape, np.int8)}


def test_every_thread_gets_a_copy():
    private = privatise(program(), DEFAULT)
    assert str(private).splitlines()[1:4] == ["  alloc acc: int32[2, 2, 1, 16] in acc", "  vthread t in range(2):",
                                              "    for o in range(3):"]
    assert "acc[t, i, n, c]" in str(private)
    assert [a.buffer.elements for a in allocations(private.body)] == [4]


def test_threads_within_threads():
    acc = Buffer("acc", (1, 1, 16), "int32", "acc")
    nest = loops([("a", 2), ("b", 3), ("i", 1), ("n", 1), ("c", 16)],
                 lambda a, b, i, n, c: Alloc(acc, Store(acc, (i, n, c), const(0))), kinds={"a": "vthread", "b": "vthread"})
    found, = allocations(privatise(LoopProgram("test", {}, nest), DEFAULT).body)
    assert found.buffer.shape == (2, 3, 1, 1, 16)


def test_the_result_is_the_same():
    for threads in (1, 2, 3):
        expected = given()["x"] + 1
        assert np.array_equal(run_interpreted(program(threads), given())["y"], expected)
        assert np.array_equal(run_interpreted(privatise(program(threads), DEFAULT), given())["y"], expected)
        assert np.array_equal(run_on_device(program(threads), given(), DEFAULT)["y"], expected)
