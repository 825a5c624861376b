"""Barriers stand where shared memory asks for them, and nowhere else; a program without one that it needs is refused."""

import numpy as np
import pytest

from weft.compiler.expr import Const, Load, Var, binary
from weft.compiler.gpu import barriers, lockstep
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Store
from weft.isa import WeftError


I, K = Var("i"), Var("k")
X, Y = Buffer("x", (4, 8), "int32", "dram", 0), Buffer("y", (8,), "int32", "dram", 0)
TILE, SUM = Buffer("tile", (8,), "int32", "shared", 0), Buffer("sum", (1,), "int32", "reg", 0)


def threads(body, extent=8, kind="threadIdx.x", v=I):
    return For(v, Const(extent), body, kind)


def reversed_sums() -> LoopProgram:
    """y[i] = sum over k of x[k, 7 - i], through shared memory."""
    bring = threads(Store(TILE, (I,), Load(X, (K, I))))
    add = threads(Store(SUM, (Const(0),), binary("add", Load(SUM, (Const(0),)), Load(TILE, (binary("sub", 7, I),)))))
    clear = Store(SUM, (Const(0),), Const(0, "int32"))
    steps = For(K, Const(4), Alloc(TILE, Seq([bring, add])))
    return LoopProgram("sums", {"x": X, "y": Y}, threads(Alloc(SUM, Seq([clear, steps, Store(Y, (I,), Load(SUM, (Const(0),)))])), v=I))


def test_one_after_writing_and_one_before_writing_again():
    text = str(barriers.derive(reversed_sums()))
    assert text == """\
program sums(x: int32[4, 8] in dram, y: int32[8] in dram):
  threadIdx.x i in range(8):
    alloc sum: int32[1] in reg
    sum[0] = 0
    for k in range(4):
      alloc tile: int32[8] in shared
      barrier
      threadIdx.x i in range(8):
        tile[i] = x[k, i]
      barrier
      threadIdx.x i in range(8):
        sum[0] = (sum[0] + tile[(7 - i)])
    y[i] = sum[0]"""


def test_the_result_is_right_with_them_and_refused_without():
    x, y = np.arange(32, dtype=np.int32).reshape(4, 8), np.zeros(8, np.int32)
    lockstep.run(barriers.derive(reversed_sums()), {"x": x, "y": y})
    assert np.array_equal(y, x.sum(0)[::-1])
    with pytest.raises(lockstep.RaceError, match="tile: thread 0 reads what another wrote .thread 7., with no barrier between"):
        lockstep.run(reversed_sums(), {"x": x, "y": y})


def test_what_is_only_read_needs_none():
    program = LoopProgram("copy", {"x": X, "y": Y}, threads(Seq([Store(Y, (I,), Load(X, (Const(0), I)))])))
    assert "barrier" not in str(barriers.derive(program))


def test_none_where_only_some_threads_come():
    body = Alloc(TILE, Seq([Store(TILE, (I,), Load(X, (Const(0), I))), Store(Y, (I,), Load(TILE, (binary("sub", 7, I),)))]))
    program = LoopProgram("some", {"x": X, "y": Y}, For(K, Const(16), For(I, binary("min", 8, binary("sub", 16, K)), body, "threadIdx.x"),
                                                        "threadIdx.y"))
    with pytest.raises(WeftError) as error:
        barriers.derive(program)
    assert str(error.value) == ("program 'some': a barrier is where all threads of a block come, but found one that is needed within "
                                "threadIdx.x i in range(min(8, (16 - k))); try: extents that the tiles divide, or set_kept")
