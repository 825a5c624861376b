import re

import numpy as np
import pytest
from hypothesis import given

from tests.conformance import programs
from tests.isa.test_program import instructions
from weft.isa import DEFAULT, WeftError
from weft.isa.asm import assemble, disassemble, from_text, to_text


@given(instructions(DEFAULT))
def test_text_round_trip(instruction):
    assert from_text(to_text(instruction)) == instruction


@pytest.mark.parametrize("program", programs()[::5], ids=lambda p: p.name)
def test_programs_round_trip(program):
    again = assemble(disassemble(program), program.name)
    assert np.array_equal(again.insns, program.insns) and again.config == program.config
    assert np.array_equal(again.dram_before, program.dram_before) and np.array_equal(again.dram_after, program.dram_after)
    assert (again.insn_address, again.dram_base) == (program.insn_address, program.dram_base)


@pytest.mark.parametrize("line, message", [
    ("jump 3", "f.s, line 3: a line begins with one of load, store, gemm, finish, alu, load_pad, depthwise, but found 'jump'; try: one of these"),
    ("load inp sram=z", "f.s, line 3: sram_base must be a number, but found 'z'; try: a decimal number, or 0x..."),
    ("alu xor", "f.s, line 3: alu_opcode must be a number, but found 'xor'; try: one of min, max, add, shr, mul, requant, lut"),
    ("finish now", "f.s, line 3: an operand is one of: finish, or pop_prev, pop_next, push_prev, push_next, but found 'now'; try: that form"),
])
def test_lines_that_cannot_be_understood(line, message):
    with pytest.raises(WeftError, match="^" + re.escape(message) + "$"):
        from_text(line, "f.s, line 3")


def test_bytes_outside_dram():
    with pytest.raises(WeftError, match="^p, line 2: bytes must lie within .dram, which comes first, but found 2 bytes at 0x1010; try: a larger .dram$"):
        assemble(".dram 0x1000 16\n.data 0x1010 ff00\n", "p")
    with pytest.raises(WeftError, match="^p: a program has .dram and .code, but found no .code"):
        assemble(".dram 0x1000 16\nfinish\n", "p")
