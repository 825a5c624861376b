"""What programs ask of a launch."""

import pytest

from weft.compiler.expr import Const, Var, binary
from weft.compiler.gpu.threads import dimensions
from weft.compiler.stmt import For, LoopProgram, Seq
from weft.isa import WeftError

A, B = Var("a"), Var("b")


def program(body):
    return LoopProgram("p", {}, body)


def test_the_largest_extent_of_each_name_counts():
    inner = Seq([For(B, Const(8), Seq([]), "threadIdx.x"), For(B, binary("min", 32, binary("sub", 40, A)), Seq([]), "threadIdx.x")])
    found = dimensions(program(For(A, Const(5), inner, "blockIdx.y")))
    assert (found.grid, found.block, found.threads) == ((1, 5, 1), (32, 1, 1), 32)


REFUSED = [
    (For(A, Const(2), For(B, Const(2), Seq([]), "blockIdx.x"), "threadIdx.x"),
     "program 'p': loops over blocks are the outermost ones, one for each name, but found blockIdx.x within threadIdx.x; try: reorder "
     "before bind"),
    (For(A, Const(2048), Seq([]), "threadIdx.x"),
     "program 'p': a block has at most 1024 threads, a grid (2147483647, 65535, 65535) blocks, but found blocks of (2048, 1, 1), a "
     "grid of (1, 1, 1); try: to split before bind"),
    (For(A, B, Seq([]), "threadIdx.x"),
     "extent 'b': a loop of threads has a bound that is constant, but found none; try: split by a constant factor"),
]


@pytest.mark.parametrize("body, message", REFUSED)
def test_refusals(body, message):
    with pytest.raises(WeftError) as error:
        dimensions(program(body))
    assert str(error.value) == message
