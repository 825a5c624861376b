"""Runs loop programs as machine code, with guards around each argument, and as the interpreter does."""

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from weft.compiler import interpret
from weft.compiler.cpu.emit import emit
from weft.compiler.interpret import strides_of
from weft.compiler.stmt import LoopProgram
from weft.llvm.machine import Form, Loaded, host_forms, object_code

FORMS = host_forms()
each_form = pytest.mark.parametrize("form", FORMS, ids=str)
GUARD = 256  # bytes around an argument that must stay as they are


def compiled(program: LoopProgram, form: Form) -> Loaded:
    module = ir.Module("kernels")
    emit(program, "kernel", form, module)
    return Loaded(object_code(module, form), form)


def run(program: LoopProgram, form: Form, arrays: dict[str, np.ndarray], turns: int = 1, calls: int = 1):
    """In place, on what interpret.run takes; the turns are shared by several calls, in any order."""
    code = compiled(program, form)
    room, addresses = {}, []
    for name, buffer in program.arguments.items():
        raw = arrays[name].reshape(-1).view(np.uint8)
        whole = np.full(raw.size + 2 * GUARD + 64, 0xA5, np.uint8)
        begin = GUARD + (-whole.ctypes.data - GUARD) % 64
        whole[begin:begin + raw.size] = raw
        low = buffer.low or (0,) * len(buffer.shape)
        before = sum(n * stride for n, stride in zip(low, strides_of(buffer))) * arrays[name].itemsize
        room[name] = whole, begin, raw
        addresses.append(whole.ctypes.data + begin + before)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(addresses), ctypes.c_int64,
                                ctypes.c_int64)(code.address("kernel"))
    for call in reversed(range(calls)):
        function(*addresses, turns * call // calls, turns * (call + 1) // calls)
    for name, (whole, begin, raw) in room.items():
        raw[:] = whole[begin:begin + raw.size]
        assert (whole[:begin] == 0xA5).all() and (whole[begin + raw.size:] == 0xA5).all(), f"{name}: written beside"


def agree(program: LoopProgram, form: Form, arrays: dict[str, np.ndarray], turns: int = 1, calls: int = 1, ulps: float = 0):
    """Machine code leaves what the interpreter leaves; floats to so many units in the last place of the largest value."""
    ours, theirs = ({name: a.copy() for name, a in arrays.items()} for _ in range(2))
    run(program, form, ours, turns, calls)
    interpret.run(program, theirs)
    for name in arrays:
        if ulps and arrays[name].dtype.kind == "f":
            assert close(ours[name], theirs[name], ulps), name
        else:
            np.testing.assert_array_equal(ours[name], theirs[name], name)
    return ours


def close(a: np.ndarray, b: np.ndarray, ulps: float) -> bool:
    unit = np.finfo(b.dtype).eps * max(1e-30, np.abs(b[np.isfinite(b)]).max(initial=0))
    return np.allclose(a, b, rtol=0, atol=ulps * unit, equal_nan=True)


def random(rng, dtype: str, values: int) -> np.ndarray:
    if dtype.startswith("float"):
        return rng.normal(0, 3, values).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, values, dtype, endpoint=True)
