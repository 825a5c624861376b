"""Tensor instructions as programs: those of the table, and one that a user adds."""

import importlib

import numpy as np
import pytest

from tests.compiler.programs import const, element_nest, finish, run_on_device
from weft.compiler.expr import Binary, Const, Load
from weft.compiler.passes import Intrinsic, declare, intrinsics
from weft.compiler.passes.intrinsics import alu
from weft.compiler.stmt import Buffer, Store
from weft.isa import ALU_BY_NAME, ALU_OPS, DEFAULT, PRESETS, Opcode


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_every_alu_operation_is_there(config):
    names = {i.name for i in intrinsics(config) if i.kind == "alu"}
    immediate = {f"{op.name} imm" for op in ALU_OPS.values() if op.operand == "acc"}
    assert names == {op.name for op in ALU_OPS.values()} | immediate


def test_meanings_as_text():
    texts = {i.name: str(i) for i in intrinsics(DEFAULT)}
    assert texts["gemm"] == ("gemm: for n in 1: for c in 16: for ci in 16: "
                             "acc[n, c] = (acc[n, c] + (int32(inp[n, ci]) * int32(wgt[c, ci])))")
    assert texts["max imm"] == "max imm: for n in 1: for c in 16: acc[n, c] = max(acc[n, c], imm)"
    assert texts["requant"] == "requant: for n in 1: for c in 16: acc[n, c] = requant(acc[n, c], qnt[c])"
    assert texts["store"] == "store: for n in 1: for c in 16: dram[n, c] = int8(sram[n, c])"


def test_only_what_commutes_says_so():
    assert {i.name for i in intrinsics(DEFAULT) if i.commutes} == {
        "gemm", "depthwise", "reset", "min", "min imm", "max", "max imm", "add", "add imm", "mul", "mul imm"}


@pytest.fixture
def declarations(monkeypatch):
    """What a test declares is gone after it."""
    module = importlib.import_module("weft.compiler.passes.intrinsics")
    monkeypatch.setattr(module, "_DECLARED", list(module._DECLARED))
    yield
    intrinsics.cache_clear()


def negate(config) -> list[Intrinsic]:
    """acc = 0 - acc, as a product with -1."""
    found = next(i for i in alu(config) if i.name == "mul imm")
    acc, place = found.meaning.buffer, found.meaning.indices
    meaning = Store(acc, place, Binary("sub", Const(0, "int32"), Load(acc, place)))
    fields = {"alu_opcode": ALU_BY_NAME["mul"].code, "use_imm": 1, "imm": -1}
    return [Intrinsic("negate", "alu", found.loops, meaning, Opcode.ALU, fields, {"dst": "acc", "src": "acc"})]


def test_a_user_adds_an_instruction(declarations):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (3, 1, 16), np.int8)

    def body(acc: Buffer):
        return element_nest(DEFAULT, [("i", 3)], lambda i, n, c: Store(acc, (i, n, c), const(0) - Load(acc, (i, n, c))))

    program = finish(DEFAULT, 3, body)
    with pytest.raises(Exception, match="a statement must equal one of the tensor instructions"):
        run_on_device(program, {"x": x}, DEFAULT)
    declare(negate)
    assert np.array_equal(run_on_device(program, {"x": x}, DEFAULT)["y"], -x)
