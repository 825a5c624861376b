"""All threads at once: equal to one after the other where the order does not matter, refused where it does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.expr import Const, Load, Var, binary
from weft.compiler.gpu import barriers, lockstep
from weft.compiler.stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Store

B, T, K = Var("b"), Var("t"), Var("k")


def dram(name, *shape):
    return Buffer(name, shape, "int32", "dram", 0)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_threads_and_tails_equal_loops(blocks, threads, turns, seed):
    """y[b, t] = sum over k < turns - t % 2 of x[b * threads + t, k], beginning at 3."""
    x, y = dram("x", blocks * threads, turns), dram("y", blocks, threads)
    own = Buffer("own", (1,), "int32", "reg", 0)
    first = (Const(0),)
    add = Store(own, first, binary("add", Load(own, first), Load(x, (binary("add", binary("mul", B, threads), T), K))))
    body = Seq([Store(own, first, Const(3, "int32")), For(K, binary("sub", turns, binary("mod", T, 2)), add),
                Store(y, (B, T), Load(own, first))])
    program = LoopProgram("sums", {"x": x, "y": y}, For(B, Const(blocks), For(T, Const(threads), Alloc(own, body), "threadIdx.x"), "blockIdx.x"))
    values = np.random.default_rng(seed).integers(-99, 99, (blocks * threads, turns)).astype(np.int32)
    found = np.zeros((blocks, threads), np.int32)
    lockstep.run(barriers.derive(program), {"x": values, "y": found})
    expected = [[3 + values[b * threads + t, :turns - t % 2].sum() for t in range(threads)] for b in range(blocks)]
    assert np.array_equal(found, expected)


def test_outside_of_the_threads_the_first_one_stores():
    y = dram("y", 4)
    program = LoopProgram("one", {"y": y}, Seq([For(T, Const(4), Store(y, (T,), T.astype("int32")), "threadIdx.x")]))
    program.body.body.append(Store(y, (Const(0),), Const(7, "int32")))
    found = np.zeros(4, np.int32)
    lockstep.run(program, {"y": found})
    assert found.tolist() == [7, 1, 2, 3]


def test_conditions_hold_for_each_thread():
    y = dram("y", 4)
    store = If(T.ge(2), Store(y, (binary("sub", T, 2),), T.astype("int32")))
    found = np.zeros(4, np.int32)
    lockstep.run(LoopProgram("some", {"y": y}, For(T, Const(4), store, "threadIdx.x")), {"y": found})
    assert found.tolist() == [2, 3, 0, 0]


SHARED, Y = Buffer("tile", (4,), "int32", "shared", 0), dram("y", 4)
NEXT = binary("mod", binary("add", T, 1), 4)


def in_threads(*statements):
    return LoopProgram("race", {"y": Y}, For(T, Const(4), Alloc(SHARED, Seq(list(statements))), "threadIdx.x"))


WRITE = Store(SHARED, (T,), T.astype("int32"))
RACES = [
    (in_threads(WRITE, Store(Y, (T,), Load(SHARED, (NEXT,)))), "tile: thread 0 reads what another wrote"),
    (in_threads(WRITE, Store(SHARED, (NEXT,), Const(0, "int32"))), "tile: thread 0 overwrites what another wrote"),
    (in_threads(Store(Y, (T,), Load(SHARED, (NEXT,))), WRITE), "tile: thread 0 overwrites what another reads"),
    (in_threads(Store(Y, (Const(0),), T.astype("int32"))), "y: thread 0 writes where another writes"),
]


@pytest.mark.parametrize("program, message", RACES)
def test_races_are_refused(program, message):
    with pytest.raises(lockstep.RaceError, match=message):
        lockstep.run(program, {"y": np.zeros(4, np.int32)})


def test_a_barrier_that_some_threads_miss():
    program = in_threads(If(T.ge(2), Seq([barriers.Barrier(), WRITE])))
    with pytest.raises(lockstep.RaceError, match="a barrier that only some threads of a block come to"):
        lockstep.run(program, {"y": np.zeros(4, np.int32)})


def test_leaving_a_buffer_is_an_error():
    with pytest.raises(IndexError, match="y: index 1 to 4 on axis 0 of 4"):
        lockstep.run(in_threads(Store(Y, (binary("add", T, 1),), Const(0, "int32"))), {"y": np.zeros(4, np.int32)})


def test_equal_values_in_one_place_are_no_race():
    found = np.zeros(4, np.int32)
    lockstep.run(in_threads(Store(Y, (Const(0),), Const(7, "int32"))), {"y": found})
    assert found.tolist() == [7, 0, 0, 0]
