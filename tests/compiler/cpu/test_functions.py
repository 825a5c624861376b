"""Vector functions against float64 over the whole range of float32, in every form that this machine can run."""

import ctypes
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import ir

from weft.compiler.cpu.functions import FUNCTIONS
from weft.llvm import machine
from weft.llvm.values import F32, I64, POINTER, Pointer, Value, loop, vector

LANES = 16
FORMS = machine.host_forms()
TRUE = {  # in float64, and how many ulp a result may be off
    "abs": (np.abs, 0), "ceil": (np.ceil, 0), "erf": (np.vectorize(math.erf, otypes=[np.float64]), 3), "exp": (np.exp, 1.5),
    "expm1": (np.expm1, 2), "floor": (np.floor, 0), "log": (np.log, 1.5), "round": (np.rint, 0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5), "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 3),
    "softplus": (lambda x: np.logaddexp(x, 0), 4), "sqrt": (np.sqrt, 0.5), "tanh": (np.tanh, 2),
}


@cache
def compiled(form: machine.Form):
    """A module with each function over an array."""
    module = ir.Module("functions")
    for name, function in FUNCTIONS.items():
        body = ir.Function(module, ir.FunctionType(ir.VoidType(), (POINTER, POINTER, I64)), name)
        builder = ir.IRBuilder(body.append_basic_block())
        source, target, count = body.args
        with loop(builder, Value(builder, count)) as at:
            x = (Pointer(builder, source) + at * (4 * LANES)).load(vector(F32, LANES))
            (Pointer(builder, target) + at * (4 * LANES)).store(function(x))
        builder.ret_void()
    return machine.Loaded(machine.object_code(module, form), form), str(machine.parse(module, machine.target_machine(form)))


def run(name: str, form: machine.Form, x) -> np.ndarray:
    x = np.asarray(x, np.float32)
    padded = np.resize(x, -(-x.size // LANES) * LANES)
    y = np.empty_like(padded)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(compiled(form)[0].address(name))
    call(padded.ctypes.data, y.ctypes.data, padded.size // LANES)
    return y[:x.size]


def off(name: str, form: machine.Form, x) -> np.ndarray:
    """How many ulp each result is off; infinite where it is another special value than it should be."""
    with np.errstate(all="ignore"):
        true = TRUE[name][0](np.asarray(x, np.float32).astype(np.float64))
        right = true.astype(np.float32)
    found = run(name, form, x)
    special = ~np.isfinite(right) | ~np.isfinite(found)
    same = (found == right) | np.isnan(found) & np.isnan(right)
    with np.errstate(invalid="ignore"):
        apart = np.abs(found.astype(np.float64) - true) / np.spacing(np.abs(np.where(special, 1, right))).astype(np.float64)
    right_enough = np.minimum(np.nan_to_num(apart, posinf=0.5), 0.5)
    return np.where(same | (apart <= 0.5), right_enough, np.where(special, np.inf, apart))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_whole_range(name, form):
    x = np.arange(0, 2 ** 32, 9973, np.uint32).view(np.float32)
    apart = off(name, form, x)
    if name == "sigmoid":  # its exponential overflows where the result is subnormal, as NumPy's does
        apart = apart[(x > -87) | np.isnan(x)]
    assert apart.max() <= max(TRUE[name][1], 0.5)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_where_functions_bend(name, form):
    x = np.linspace(-20, 20, 400_003).astype(np.float32)
    assert off(name, form, x).max() <= max(TRUE[name][1], 0.5)


@given(st.lists(st.floats(width=32), min_size=1, max_size=32))
def test_any_numbers(x):
    for name in FUNCTIONS:
        apart = off(name, FORMS[0], x)
        assert name == "sigmoid" or apart.max() <= max(TRUE[name][1], 0.5), name


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_zeros_keep_their_sign(form):
    for name in ("ceil", "erf", "expm1", "floor", "round", "sqrt", "tanh"):
        assert np.array_equal(np.signbit(run(name, form, [0.0, -0.0])), [False, True]), name


def test_nothing_is_called():
    for form in machine.FORMS.values():
        code = machine.target_machine(form).emit_assembly(machine.parse(compiled(FORMS[0])[1], machine.target_machine(form)))
        assert len(code.splitlines()) > 1000 and not {"call", "callq", "bl", "tail"} & set(code.split()), form
