import numpy as np
import pytest
from hypothesis import given, strategies as st

from weft.isa import DEFAULT, PRESETS, Opcode
from weft.isa.table import ALU_OPS, layouts, micro_op_layout, shift_right

# The published encoding at the default configuration: field -> (highest bit, lowest bit).
VTA = {
    Opcode.LOAD: dict(opcode=(2, 0), pop_prev=(3, 3), pop_next=(4, 4), push_prev=(5, 5), push_next=(6, 6), memory_type=(9, 7), sram_base=(25, 10),
                      dram_base=(57, 26), y_size=(79, 64), x_size=(95, 80), x_stride=(111, 96), y_pad_0=(115, 112), y_pad_1=(119, 116),
                      x_pad_0=(123, 120), x_pad_1=(127, 124)),
    Opcode.GEMM: dict(opcode=(2, 0), pop_prev=(3, 3), pop_next=(4, 4), push_prev=(5, 5), push_next=(6, 6), reset=(7, 7), uop_bgn=(20, 8),
                      uop_end=(34, 21), iter_out=(48, 35), iter_in=(62, 49), dst_factor_out=(74, 64), dst_factor_in=(85, 75),
                      src_factor_out=(96, 86), src_factor_in=(107, 97), wgt_factor_out=(117, 108), wgt_factor_in=(127, 118)),
    Opcode.ALU: dict(opcode=(2, 0), pop_prev=(3, 3), pop_next=(4, 4), push_prev=(5, 5), push_next=(6, 6), uop_bgn=(20, 8), uop_end=(34, 21),
                     iter_out=(48, 35), iter_in=(62, 49), dst_factor_out=(74, 64), dst_factor_in=(85, 75), src_factor_out=(96, 86),
                     src_factor_in=(107, 97), alu_opcode=(110, 108), use_imm=(111, 111), imm=(127, 112)),
    Opcode.FINISH: dict(opcode=(2, 0), pop_prev=(3, 3), pop_next=(4, 4), push_prev=(5, 5), push_next=(6, 6)),
}
VTA[Opcode.STORE] = VTA[Opcode.LOAD]
EXTENSIONS = {"half"}  # fields in bits that are free there, and mean nothing new where they are 0


@pytest.mark.parametrize("opcode", VTA)
def test_default_encoding_is_vtas(opcode):
    fields = {f.name: (f.offset + f.width - 1, f.offset) for f in layouts(DEFAULT)[opcode].fields.values()}
    assert {name: bits for name, bits in fields.items() if name not in EXTENSIONS} == VTA[opcode]
    assert all(fields[name] == (63, 63) for name in EXTENSIONS & {*fields})


def test_micro_op_is_vtas():
    assert {f.name: (f.offset, f.width) for f in micro_op_layout(DEFAULT).fields.values()} == {"dst": (0, 11), "src": (11, 11), "wgt": (22, 10)}


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_no_field_straddles_the_two_words(config):
    for layout in layouts(config).values():
        for f in layout.fields.values():
            assert f.offset // 64 == (f.offset + f.width - 1) // 64


INT32 = st.integers(-(1 << 31), (1 << 31) - 1)


@given(INT32, INT32)
def test_shift_right_is_a_true_shift(x, y):
    exact = x >> min(y, 64) if y >= 0 else x << min(-y, 64)
    wrapped = (exact + (1 << 31)) % (1 << 32) - (1 << 31)
    assert int(shift_right(np.int32(x), np.int32(y))) == wrapped


@given(INT32, INT32)
def test_arithmetic_wraps(x, y):
    a, b = np.array([x], np.int32), np.array([y], np.int32)
    wrap = lambda v: (v + (1 << 31)) % (1 << 32) - (1 << 31)
    meanings = {op.name: op.meaning for op in ALU_OPS.values()}
    assert meanings["add"](a, b)[0] == wrap(x + y)
    assert meanings["mul"](a, b)[0] == wrap(x * y)
    assert meanings["min"](a, b)[0] == min(x, y) and meanings["max"](a, b)[0] == max(x, y)
