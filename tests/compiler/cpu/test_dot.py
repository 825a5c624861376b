"""Sums of products of bytes in lanes, in each form and of any number of lanes."""

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from tests.compiler.cpu.programs import each_form
from weft.compiler.cpu.dot import dot2, dot4
from weft.llvm.machine import FORMS as ALL, Loaded, object_code
from weft.llvm.values import I32, POINTER, Pointer, vector


def run(form, meaning, *arrays):
    """meaning(form, a, b, c) of int32 lanes; None where it has none."""
    module = ir.Module("dot")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 4), "dot")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    target, *sources = (Pointer(builder, argument) for argument in function.args)
    result = meaning(form, *(source.load(vector(I32, arrays[0].size), 4) for source in sources))
    if result is None:
        return None
    target.store(result, 4)
    builder.ret_void()
    loaded, out = Loaded(object_code(module, form), form), np.empty_like(arrays[0])
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(loaded.address("dot"))(*(a.ctypes.data for a in (out, *arrays)))
    return out


@each_form
@pytest.mark.parametrize("lanes", range(1, 17))
def test_four_products_in_each_lane(form, lanes):
    rng = np.random.default_rng(lanes)
    total = rng.integers(-2**31, 2**31, lanes).astype(np.int32)
    a, b = rng.integers(0, 256, 4 * lanes).astype(np.uint8), rng.integers(-128, 128, 4 * lanes).astype(np.int8)
    a[:4], b[:4] = 255, -128  # what saturates where 16 bits hold sums of two
    expected = total + (a.astype(np.int32) * b).reshape(lanes, 4).sum(1, dtype=np.int32)
    np.testing.assert_array_equal(run(form, dot4, total, a.view(np.int32), b.view(np.int32)), expected)


@each_form
def test_one_product_in_each_lane(form):
    rng = np.random.default_rng(0)
    total = rng.integers(-2**31, 2**31, 16).astype(np.int32)
    a, b = rng.integers(0, 256, 16).astype(np.int32), rng.integers(-128, 128, 16).astype(np.int32)
    result = run(form, dot2, total, a, b)
    assert (result is None) == (form.dot != "vpdpbusd")
    if result is not None:
        np.testing.assert_array_equal(result, total + a * b)


@pytest.mark.parametrize("name, instruction", [("avx512vnni", "vpdpbusd"), ("avx2", "vpmaddwd"), ("plain", "pmaddwd")])
def test_the_form_has_the_instruction(name, instruction):
    """In text, so that it is tested where it cannot be run."""
    from weft.llvm import machine
    form, module = ALL[name], ir.Module("dot")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 3), "dot")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, b, c = (Pointer(builder, argument) for argument in function.args)
    lanes = vector(I32, 16)
    a.store(dot4(form, a.load(lanes, 4), b.load(lanes, 4), c.load(lanes, 4)), 4)
    builder.ret_void()
    target = machine.target_machine(form)
    assert instruction in target.emit_assembly(machine.parse(module, target))
