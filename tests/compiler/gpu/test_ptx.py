"""PTX and NVIDIA's assembler."""

import pytest

from tests.compiler.gpu.harness import PTXAS, needs_ptxas
from weft.compiler.expr import Const, Var
from weft.compiler.gpu import ptx
from weft.compiler.gpu.emit import emit
from weft.compiler.stmt import Buffer, For, LoopProgram, Store
from weft.isa import WeftError

T = Var("t")
Y = Buffer("y", (4,), "int32", "dram", 0)
SMALL = LoopProgram("small", {"y": Y}, For(T, Const(4), Store(Y, (T,), T.astype("int32")), "threadIdx.x"))


def test_each_architecture_is_named():
    for architecture in ptx.ARCHITECTURES:
        assert f".target {architecture}" in ptx.ptx(emit(SMALL, "small"), architecture)


@needs_ptxas
def test_ptxas_reports_registers():
    assert "registers" in ptx.assemble(ptx.ptx(emit(SMALL, "small")), "sm_90", PTXAS)


@needs_ptxas
def test_what_ptxas_refuses_is_an_error():
    with pytest.raises(WeftError, match="PTX for sm_80: ptxas must accept it, but found ptxas .* unrecognized|syntax|Parsing error"):
        ptx.assemble(".version 7.0\n.target sm_80\n.address_size 64\nnonsense", "sm_80", PTXAS)
