"""Forms of machine code: which a CPU can run, and object code that does what its IR says."""

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from weft.isa import WeftError
from weft.llvm import machine
from weft.llvm.machine import FORMS, Loaded, choose, host_forms, object_code
from weft.llvm.values import F32, F64, I32, I64, POINTER, Pointer, Value, vector

X86 = ("avx512vnni", "avx2", "plain")


def test_the_fastest_form_comes_first_and_needs_all_its_features():
    everything = {name: True for form in X86 for name in FORMS[form].features}
    assert [form.name for form in host_forms("x86_64", everything)] == list(X86)
    assert [form.name for form in host_forms("AMD64", everything | {"avx512vnni": False})] == ["avx2", "plain"]
    assert [form.name for form in host_forms("x86_64", {"sse2": True})] == ["plain"]
    assert [form.name for form in host_forms("armv7l", {})] == ["armv7"]
    assert host_forms("s390x", {}) == []


def test_a_form_that_this_cpu_lacks_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "host_features", lambda: {"sse2": True})
    monkeypatch.setattr(machine.os, "uname", lambda: type("", (), {"machine": "x86_64"}))
    assert choose().name == "plain"
    with pytest.raises(WeftError) as error:
        choose("avx2")
    assert str(error.value) == ("form 'avx2': this CPU can run plain, but found x86_64; try: one of these, or none: the "
                                "fastest is chosen")


def summing() -> ir.Module:
    """(a, b, out): out = float32 sqrt of four int32 sums, then their minimum with 2.5."""
    module = ir.Module("test")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 3), "summing")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    x, y, out = (Pointer(b, argument) for argument in function.args)
    total = x.load(vector(I32, 4)) + y.load(vector(I32, 4))
    root = total.to_float(F64).call("sqrt").to_float(F32)
    out.store(root)
    (out + 16).store(root.minimum(2.5))
    b.ret_void()
    return module


@pytest.mark.parametrize("form", host_forms(), ids=str)
def test_object_code_does_what_its_ir_says(form):
    loaded = Loaded(object_code(summing(), form), form)
    a, b, out = np.array([1, 2, 3, 4], np.int32), np.array([8, 7, 6, -4], np.int32), np.empty((2, 4), np.float32)
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(loaded.address("summing"))(*(v.ctypes.data for v in (a, b, out)))
    assert out.tolist() == [[3, 3, 3, 0], [2.5, 2.5, 2.5, 0]]
    assert loaded.address("nothing") == 0


@pytest.mark.parametrize("form", FORMS.values(), ids=str)
def test_every_form_makes_object_code_of_its_own_machine(form):
    elf_machines = {"x86_64": 62, "aarch64": 183, "armv7": 40, "riscv64": 243}
    code = object_code(summing(), form)
    assert code[:4] == b"\x7fELF" and int.from_bytes(code[18:20], "little") == elf_machines[form.architecture]


def test_object_code_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    form = host_forms()[0]
    code = object_code(summing(), form)
    monkeypatch.setattr(machine, "optimised", None)
    assert object_code(summing(), form) == code and len(list(tmp_path.iterdir())) == 1


def test_comparisons_of_floats_keep_what_is_not_a_number():
    module = ir.Module("test")
    function = ir.Function(module, ir.FunctionType(I64, [F32]), "clamped")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    x = Value(b, function.args[0])
    clamped = x.maximum(0).minimum(6)
    b.ret((clamped.differs(clamped).select(Value(b, I64(-1)), clamped.to_int(I64))).ir)
    form = host_forms()[0]
    loaded = Loaded(object_code(module, form), form)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_float)(loaded.address("clamped"))
    assert [call(v) for v in (-3, 4.5, 99, float("nan"), float("inf"))] == [0, 4, 6, -1, 6]
