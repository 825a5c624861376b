"""What IR is made for threads, and what is refused."""

import pytest

from weft.compiler.expr import Const, Load, Var
from weft.compiler.gpu.emit import emit
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Store
from weft.isa import WeftError

T, K = Var("t"), Var("k")
Y = Buffer("y", (4,), "int32", "dram", 0)


def program(*statements, extent=4):
    return LoopProgram("p", {"y": Y}, For(T, Const(extent), Seq(list(statements)), "threadIdx.x"))


def test_a_kernel_for_so_many_threads():
    text = str(emit(program(Store(Y, (T,), T.astype("int32"))), "name"))
    assert 'define ptx_kernel void @"name"(ptr addrspace(1) noalias align 16' in text and '"nvvm.maxntid"="4,1,1"' in text


def test_what_is_only_read_is_marked_so():
    x = Buffer("x", (4,), "int32", "dram", 0)
    whole = program(Store(Y, (T,), Load(x, (T,))))
    text = str(emit(LoopProgram("p", {"x": x, "y": Y}, whole.body), "name"))
    assert text.count("readonly") == 1


def test_registers_have_no_addresses():
    own = Buffer("own", (4,), "int32", "reg", 0)
    with pytest.raises(WeftError) as error:
        emit(program(Alloc(own, Store(own, (T,), Const(1, "int32")))), "name")
    assert str(error.value) == ("buffer 'own': registers have no addresses: their indices are numbers, but found 't'; try: to unroll the loops, "
                                "or scope 'shared'")


def test_shared_memory_is_small():
    tile = Buffer("tile", (20000,), "int32", "shared", 0)
    with pytest.raises(WeftError) as error:
        emit(program(Alloc(tile, Store(tile, (T,), Const(1, "int32")))), "name")
    assert str(error.value) == "program 'p': a block has 49152 bytes of shared memory, but found 80000; try: smaller tiles"
