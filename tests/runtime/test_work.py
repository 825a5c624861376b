"""What instructions have to do, against loops over their rows and against what the RTL counts."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.conftest import EXAMPLES
from tests.random_programs import random_program
from weft.isa import DEFAULT, MEMORIES, PRESETS, Instruction, Memory, Opcode, decode
from weft.isa.footprint import dram_rows
from weft.runtime.device import open_device
from weft.runtime.work import Work, instruction_beats, row_beats, work

CONFIGS = pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)


@CONFIGS
@given(memory=st.sampled_from(Memory), base=st.integers(0, 99), x=st.integers(0, 9), y=st.integers(0, 9), stride=st.integers(0, 12))
def test_beats_are_those_that_bytes_of_a_row_touch(config, memory, base, x, y, stride):
    i = Instruction(Opcode.LOAD, {"memory_type": memory, "dram_base": base, "x_size": x, "y_size": y, "x_stride": stride})
    rows, beat = dram_rows(i, config), config.bus_bits // 8
    starts = [rows.start + k * rows.stride for k in range(rows.count)]
    assert row_beats(i, config) == sum(len({byte // beat for byte in range(start, start + rows.size)}) for start in starts)


@CONFIGS
@settings(max_examples=EXAMPLES or 5)
@given(seed=st.integers(0, 2**32 - 1), latency=st.sampled_from([0, 16]))
def test_the_rtl_counts_the_same(config, seed, latency):
    program = random_program(config, seed)
    device = open_device("rtl", config, program.dram_base + program.dram_before.size, latency=latency)
    device.write(program.dram_base, program.dram_before)
    counters = device.launch(program.insn_address, len(program.insns)).counters
    device.close()
    instructions = decode(program.insns, config)
    works = [work(i, config) for i in instructions]
    loads = sum(row_beats(i, config) for i, w in zip(instructions, works) if w.kind in ("load", "micro-ops"))
    assert counters["read_beats"] == loads + instruction_beats(program.insn_address, len(instructions), config)
    assert counters["write_beats"] == sum(w.cycles for w in works if w.kind == "store")
    assert counters["alu_steps"] == sum(w.cycles for w in works if w.kind in ("alu", "requant"))
    products = sum(i.iter_out * i.iter_in * max(0, i.uop_end - i.uop_bgn) for i in instructions
                   if i.opcode == Opcode.DEPTHWISE or i.opcode == Opcode.GEMM and not i.reset)
    assert counters["gemm_steps"] == products


@given(st.integers(1, 16), st.integers(0, 20), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_depthwise_takes_a_step_for_each_element_that_enters_a_window(taps, stride, iter_in, iter_out, uops):
    i = Instruction(Opcode.DEPTHWISE, dict(taps=taps, src_factor_in=stride, iter_in=iter_in, iter_out=iter_out, uop_end=uops))
    steps = 0
    for _ in range(iter_out * uops):
        window = set()
        for x in range(iter_in):
            wanted = set(range(x * stride, x * stride + taps))
            steps += max(1, len(wanted - window))
            window = wanted
    assert work(i, DEFAULT) == Work("depthwise", steps)


def test_kinds_and_bytes():
    nest = dict(uop_end=2, iter_out=3, iter_in=4)
    block = dict(x_size=3, y_size=2, x_stride=5, y_pad_0=1, x_pad_1=1)  # of 4 x 3 elements, 6 of them padding
    for instruction, expected in [
        (Instruction(Opcode.GEMM, nest), Work("gemm", 24)),
        (Instruction(Opcode.GEMM, {**nest, "reset": 1}), Work("zero", 24)),
        (Instruction(Opcode.ALU, {**nest, "alu_opcode": 2}), Work("alu", 24)),
        (Instruction(Opcode.ALU, {**nest, "alu_opcode": 5}), Work("requant", 24)),
        (Instruction(Opcode.ALU, {**nest, "alu_opcode": 6}), Work("requant", 24)),
        (Instruction(Opcode.DEPTHWISE, {"taps": 3}), Work("depthwise", 0)),
        (Instruction(Opcode.LOAD, {**block, "memory_type": Memory.INP}), Work("load", 6 * 2 + 6, read=6 * 16)),
        (Instruction(Opcode.LOAD_PAD, {**block, "memory_type": Memory.ACC}), Work("load", 6 * 8 + 6, read=6 * 64)),
        (Instruction(Opcode.LOAD, {"memory_type": Memory.UOP, "x_size": 5, "y_size": 1}), Work("micro-ops", 3, read=20)),
        (Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "x_size": 3, "y_size": 2, "x_stride": 9}), Work("store", 12, written=96)),
        (Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "y_size": 2}), Work()), (Instruction(Opcode.FINISH), Work()),
    ]:
        assert work(instruction, DEFAULT) == expected
    assert all(np.log2(m.dram_bytes(DEFAULT)) % 1 == 0 for m in MEMORIES.values())  # rows begin within a beat as they did before
