import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.conformance import programs
from tests.random_programs import random_program
from weft.isa import DEFAULT, PRESETS, RawProgram, WeftError
from weft.isa.asm import assemble
from weft.sim.conform import run_one
from weft.sim.functional import FunctionalDevice


@pytest.mark.parametrize("sequential", [True, False], ids=["sequential", "at_once"])
@pytest.mark.parametrize("program", programs(), ids=lambda p: p.name)
def test_conformance(program, sequential):
    device = FunctionalDevice(program.config, program.dram_base + program.dram_before.size, sequential)
    assert run_one(program, device) == (None, None)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs_mean_the_same_one_step_at_a_time(config, seed):
    program = random_program(config, seed)
    results = []
    for sequential in (True, False):
        device = FunctionalDevice(config, program.dram_base + program.dram_before.size, sequential)
        device.write(program.dram_base, program.dram_before)
        device.launch(program.insn_address, len(program.insns))
        results.append((device.dram, device.pads.acc, device.pads.counters))
    assert np.array_equal(results[0][0], results[1][0]) and np.array_equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]


def device_for(text: str) -> tuple[FunctionalDevice, RawProgram]:
    program = assemble(".dram 0 4096\n.code 0x800\n" + text, "p", DEFAULT)
    device = FunctionalDevice(DEFAULT, 4096)
    device.write(0, program.dram_before)
    return device, program


@pytest.mark.parametrize("text, message", [
    ("gemm uop=0:0 iter=0,0 dst=0,0 src=0,0 wgt=0,0 pop_prev\nfinish",
     "device 'functional': a program must reach FINISH, but found load has nothing left; compute at instruction 0 (GEMM) waits for a token "
     "load_to_compute; store has nothing left; try: `weft check` on the program"),
    ("load inp sram=0 dram=0 y=1 x=1 stride=1", "device 'functional': a stream must hold a FINISH, but found 1 instructions without one; "
                                                 "try: `weft check` on the program"),
    ("load inp sram=0 dram=256 y=1 x=1 stride=1\nfinish",
     "instruction 0 (LOAD INP): an access must lie within DRAM, but found bytes 0x1000 to 0x100f of 0x1000; try: a device with more dram_size, or other base addresses"),
    ("load inp sram=2047 dram=0 y=1 x=2 stride=2\nfinish",
     "instruction 0 (LOAD): an address of inp must be below 2048, but found 2048; try: `weft check` on the program"),
])
def test_refusals(text, message):
    device, program = device_for(text)
    with pytest.raises(WeftError, match="^" + re.escape(message) + "$"):
        device.launch(program.insn_address, len(program.insns))


def test_scratchpads_and_tokens_survive_a_launch():
    device, first = device_for(".data 0x100 01020304\nload acc_8bit sram=3 dram=16 y=1 x=1 stride=1 push_next\nfinish")
    device.launch(first.insn_address, len(first.insns))
    second = assemble(".dram 0 4096\n.code 0x800\nstore out sram=3 dram=64 y=1 x=1 stride=1 pop_prev push_prev\nfinish pop_next", "q", DEFAULT)
    device.write(0x800, second.insns)
    device.launch(0x800, len(second.insns))
    assert device.read(0x400, 5).tolist() == [1, 2, 3, 4, 0]


def test_load_pad_fills_with_its_value():
    device, program = device_for(".data 0x100 0102\nload_pad inp sram=0 dram=16 y=1 x=1 stride=1 value=-3 pad=1,0,0,1\n"
                                 "load_pad acc_8bit sram=0 dram=16 y=1 x=1 stride=1 value=-128 pad=0,1,0,0\nfinish")
    device.launch(program.insn_address, len(program.insns))
    assert (device.pads.inp[[0, 1, 3]] == -3).all() and device.pads.inp[2, 0, :3].tolist() == [1, 2, 0]
    assert device.pads.acc[0, 0, :3].tolist() == [1, 2, 0] and (device.pads.acc[1] == -128).all()


def test_trace_has_an_event_for_each_instruction():
    device, program = device_for("load inp sram=0 dram=0 y=1 x=1 stride=1 push_next\nfinish pop_prev")
    report = device.launch(program.insn_address, 2, trace=True)
    assert report.cycles is None and report.events.tolist() == [(0, 0, 1), (1, 1, 2)]
