"""The functional device, with machine code in each form that this CPU can run, and the reference device: the same answers."""

import re

import pytest

from tests.conformance import programs
from tests.sim.engines import tried_forms
from weft.isa import DEFAULT, RawProgram, WeftError
from weft.isa.asm import assemble
from weft.runtime.device import Device, open_device
from weft.sim.conform import run_one
from weft.sim.functional import FunctionalDevice

BOTH = pytest.mark.parametrize("name", ["functional", "reference"])


@pytest.mark.parametrize("program", programs(), ids=lambda p: p.name)
def test_conformance(program):
    for form in tried_forms(program.config):
        device = FunctionalDevice(program.config, program.dram_base + program.dram_before.size, form)
        assert run_one(program, device) == (None, None), form


def device_for(name: str, text: str) -> tuple[Device, RawProgram]:
    program = assemble(".dram 0 4096\n.code 0x800\n" + text, "p", DEFAULT)
    device = open_device(name, DEFAULT, 4096)
    device.write(0, program.dram_before)
    return device, program


@BOTH
@pytest.mark.parametrize("text, message", [
    ("gemm uop=0:0 iter=0,0 dst=0,0 src=0,0 wgt=0,0 pop_prev\nfinish",
     "device '{name}': a program must reach FINISH, but found load has done all its 0 instructions; compute waits for a "
     "token of load before instruction 0 (GEMM, pop_prev); store has done all its 0 instructions; try: `weft check` on the program"),
    ("load inp sram=0 dram=0 y=1 x=1 stride=1 push_next\nload wgt sram=0 dram=0 y=1 x=1 stride=1 pop_next\nfinish pop_next",
     "device '{name}': a program must reach FINISH, but found load waits for a token of compute before instruction 1 (LOAD "
     "WGT, pop_next); compute waits for a token of store before instruction 2 (FINISH, pop_next); store has done all its 0 instructions; try: `weft check` on the program"),
    ("load inp sram=0 dram=0 y=1 x=1 stride=1", "device '{name}': a stream must hold a FINISH, but found 1 instructions without one; "
                                                 "try: `weft check` on the program"),
    ("load inp sram=0 dram=256 y=1 x=1 stride=1\nfinish",
     "instruction 0 (LOAD INP): an access must lie within DRAM, but found bytes 0x1000 to 0x100f of 0x1000; try: a device with more dram_size, or other base addresses"),
    ("load inp sram=0 dram=0 y=1 x=1 stride=1\nload inp sram=2047 dram=0 y=1 x=2 stride=2\nfinish",
     "instruction 1 (LOAD): an address of inp must be below 2048, but found 2048; try: `weft check` on the program"),
    ("store out sram=2047 dram=0 y=1 x=2 stride=2\nfinish",
     "instruction 0 (STORE): an address of acc must be below 2048, but found 2048; try: `weft check` on the program"),
    ("store out sram=0 dram=255 y=1 x=2 stride=2\nfinish",
     "instruction 0 (STORE OUT): an access must lie within DRAM, but found bytes 0xff0 to 0x100f of 0x1000; try: a device with more dram_size, or other base addresses"),
    ("store out sram=0 dram=0 y=1 x=1 stride=1 pad=1,0,0,0\nfinish",
     "instruction 0 (STORE): it is of OUT, and its pads are 0, but found OUT, pads 1, 0, 0, 0; try: `weft check` on the program"),
    ("gemm uop=8191:8193 iter=0,0 dst=0,0 src=0,0 wgt=0,0\nfinish",
     "instruction 0 (GEMM): an address of uop must be below 8192, but found 8192; try: `weft check` on the program"),
    ("gemm uop=0:1 iter=3,3 dst=1023,1 src=0,0 wgt=0,0\nfinish",
     "instruction 0 (GEMM): an address of acc must be below 2048, but found 2048; try: `weft check` on the program"),
    ("gemm uop=0:1 iter=3,3 dst=0,1 src=1023,1 wgt=0,0\nfinish",
     "instruction 0 (GEMM): an address of inp must be below 2048, but found 2048; try: `weft check` on the program"),
    ("gemm uop=0:1 iter=3,3 dst=0,1 src=0,1 wgt=512,0\nfinish",
     "instruction 0 (GEMM): an address of wgt must be below 1024, but found 1024; try: `weft check` on the program"),
    ("alu add uop=0:1 iter=3,3 dst=0,0 src=1023,1\nfinish",
     "instruction 0 (ALU): an address of acc must be below 2048, but found 2048; try: `weft check` on the program"),
    ("alu requant uop=0:1 iter=2,1 dst=0,0 src=32,0\nfinish",
     "instruction 0 (ALU): an address of qnt must be below 32, but found 32; try: `weft check` on the program"),
    ("alu lut uop=0:1 iter=2,1 dst=0,0 src=4,0\nfinish",
     "instruction 0 (ALU): an address of lut must be below 4, but found 4; try: `weft check` on the program"),
    ("depthwise uop=0:1 iter=1,1 dst=0,0 src=0,0 wgt=0 taps=17\nfinish",
     "instruction 0 (DEPTHWISE): taps are from 1 to 16, but found 17; try: `weft check` on the program"),
    ("depthwise uop=0:1 iter=2,1 dst=0,0 src=2047,0 wgt=0 taps=2\nfinish",
     "instruction 0 (DEPTHWISE): an address of inp must be below 2048, but found 2048; try: `weft check` on the program"),
])
def test_refusals(name, text, message):
    device, program = device_for(name, text)
    with pytest.raises(WeftError, match="^" + re.escape(message.format(name=name)) + "$"):
        device.launch(program.insn_address, len(program.insns))


def test_an_engine_that_is_none():
    with pytest.raises(WeftError, match="^engine 'abacus': this CPU can run .*plain, but found 'abacus'; try: one of these, or none: the fastest is chosen$"):
        open_device("functional", DEFAULT, 4096, engine="abacus")


@BOTH
def test_scratchpads_and_tokens_survive_a_launch(name):
    device, first = device_for(name, ".data 0x100 01020304\nload acc_8bit sram=3 dram=16 y=1 x=1 stride=1 push_next\nfinish")
    device.launch(first.insn_address, len(first.insns))
    second = assemble(".dram 0 4096\n.code 0x800\nstore out sram=3 dram=64 y=1 x=1 stride=1 pop_prev push_prev\nfinish pop_next", "q", DEFAULT)
    device.write(0x800, second.insns)
    device.launch(0x800, len(second.insns))
    assert device.read(0x400, 5).tolist() == [1, 2, 3, 4, 0]


@BOTH
def test_load_pad_fills_with_its_value(name):
    device, program = device_for(name, ".data 0x100 0102\nload_pad inp sram=0 dram=16 y=1 x=1 stride=1 value=-3 pad=1,0,0,1\n"
                                 "load_pad acc_8bit sram=0 dram=16 y=1 x=1 stride=1 value=-128 pad=0,1,0,0\nfinish")
    device.launch(program.insn_address, len(program.insns))
    assert (device.pads.inp[[0, 1, 3]] == -3).all() and device.pads.inp[2, 0, :3].tolist() == [1, 2, 0]
    assert device.pads.acc[0, 0, :3].tolist() == [1, 2, 0] and (device.pads.acc[1] == -128).all()


@BOTH
def test_trace_has_an_event_for_each_instruction(name):
    device, program = device_for(name, "load inp sram=0 dram=0 y=1 x=1 stride=1 push_next\nfinish pop_prev")
    report = device.launch(program.insn_address, 2, trace=True)
    assert report.cycles is None and report.events.tolist() == [(0, 0, 1), (1, 1, 2)]
