"""Symbols of object files are renamed: what LLVM reads back, and what a linker makes of it."""

import llvmlite.binding as llvm
import pytest

from weft.export.elf import renamed
from weft.llvm import machine

TEXT = """
declare i32 @far(i32)
define i32 @near(i32 %x) {
  %y = call i32 @far(i32 %x)
  ret i32 %y
}
define i32 @f(i32 %x) {
  %y = call i32 @near(i32 %x)
  ret i32 %y
}
"""


@pytest.mark.parametrize("form", machine.FORMS.values(), ids=str)
def test_names(form):
    code = machine.object_code(TEXT, form)
    made = renamed(code, {"near": "a_longer_name", "far": "x", "not there": "y"})
    for name in (b"a_longer_name\0", b"x\0"):
        assert name in made[len(code):] and len(made) > len(code)
    sections = [s.name() for s in llvm.ObjectFileRef.from_data(made).sections()]
    assert sections == [s.name() for s in llvm.ObjectFileRef.from_data(code).sections()]


def test_a_renamed_function_runs():
    import ctypes

    form = machine.host_forms()[0]
    other = "define i32 @x(i32 %x) {\n  %y = add i32 %x, 5\n  ret i32 %y\n}"
    loaded = machine.Loaded([renamed(machine.object_code(TEXT, form), {"near": "nearer", "far": "x"}), machine.object_code(other, form)], form)
    assert loaded.address("near") == 0 and loaded.address("nearer") != 0
    assert ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(loaded.address("f"))(37) == 42
