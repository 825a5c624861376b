"""The RTL device: every conformance program in every kind of DRAM, and every way to be refused."""


import numpy as np
import pytest

from tests.conformance import programs
from tests.sim import copy_engine
from weft.isa import DEFAULT, PRESETS, Instruction, Memory, Module, Opcode, WeftError, decode, encode
from weft.isa.table import CAPABILITIES, VERSION
from weft.runtime.device import Bases
from weft.sim.conform import run_one
from weft.sim.rtl import RtlDevice

SIZE, STREAM = 1 << 16, 0x8000
DRAMS = {"latency 0": {"latency": 0}, "latency 16": {}, "latency 64": {"latency": 64, "write_latency": 16},
         "stalls 1": {"stall_seed": 1}, "stalls 2": {"stall_seed": 2, "latency": 0}, "half": {"bandwidth": 0.5}}
FINISH = Instruction(Opcode.FINISH)


def launch(device: RtlDevice, instructions: list[Instruction], **options):
    device.write(STREAM, encode(instructions, device.config))
    return device.launch(STREAM, len(instructions), **options)


@pytest.fixture
def device():
    with_default = RtlDevice(DEFAULT, SIZE)
    yield with_default
    with_default.close()


def refused(call, *arguments, **options) -> str:
    with pytest.raises(WeftError) as error:
        call(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize("options", DRAMS.values(), ids=DRAMS)
@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_conformance(config, options):
    own = [program for program in programs() if program.config == config]
    differences = {}
    for program in own:
        device = RtlDevice(config, program.dram_base + program.dram_before.size, **options)
        differences[program.name] = run_one(program, device)[0]
        device.close()
    assert own and not any(differences.values()), {name: what for name, what in differences.items() if what}


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_the_machine_says_what_it_is(config):
    device = RtlDevice(config, SIZE)
    read = device._machine.read_register
    assert read("version") == VERSION and read("capability") == CAPABILITIES
    assert read("fingerprint") == int(config.fingerprint, 16) & 0xFFFFFFFF


@pytest.mark.parametrize("options", DRAMS.values(), ids=DRAMS)
def test_the_trace_is_possible(options):
    """Begins come in order in each module, nothing ends before it began, a pop waits for its push, FINISH ends the launch."""
    for program in [p for p in programs() if p.config == DEFAULT][::6]:
        device = RtlDevice(DEFAULT, program.dram_base + program.dram_before.size, **options)
        device.write(program.dram_base, program.dram_before)
        report = device.launch(program.insn_address, len(program.insns), trace=True)
        instructions, events = decode(program.insns, DEFAULT), report.events
        assert events["module"].tolist() == [i.module for i in instructions]
        assert (events["start"] <= events["end"]).all()
        for module in Module:
            own = events[events["module"] == module]
            assert (np.diff(own["start"].astype(np.int64)) > 0).all() and (np.diff(own["end"].astype(np.int64)) > 0).all()
        for pushed, popped in (((Module.LOAD, "push_next"), (Module.COMPUTE, "pop_prev")),
                               ((Module.COMPUTE, "push_prev"), (Module.LOAD, "pop_next")),
                               ((Module.COMPUTE, "push_next"), (Module.STORE, "pop_prev")),
                               ((Module.STORE, "push_prev"), (Module.COMPUTE, "pop_next"))):
            gives, takes = ([event for event, i in zip(events, instructions) if i.module == module and getattr(i, flag)]
                            for module, flag in (pushed, popped))
            assert all(give["end"] <= take["start"] for give, take in zip(gives, takes)), (program.name, pushed)
        assert instructions[-1].opcode == Opcode.FINISH and events[-1]["end"] == report.cycles


def test_counters(device):
    uop = Instruction(Opcode.LOAD, {"memory_type": Memory.UOP, "y_size": 1, "x_size": 4, "x_stride": 4})
    gemm = Instruction(Opcode.GEMM, {"reset": 1, "uop_end": 4, "iter_out": 3, "iter_in": 2})
    report = launch(device, [uop, gemm, FINISH])
    assert report.counters["acc_writes"] == 24 and report.counters["gemm_steps"] == report.counters["alu_steps"] == 0  # resets are neither
    assert report.counters["read_beats"] == 3 * 16 // 8 + 4 * 4 // 8 and report.counters["write_beats"] == 0
    assert report.events is None and report.counters["seconds"] > 0


def test_bases_are_added_and_scratchpads_survive(device):
    config = device.config
    device.write(0x1000 + 3 * config.acc_bytes, np.arange(16, dtype=np.int32))
    load = Instruction(Opcode.LOAD, {"memory_type": Memory.ACC, "dram_base": 3, "y_size": 1, "x_size": 1, "x_stride": 1})
    store = Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "dram_base": 2, "y_size": 1, "x_size": 1, "x_stride": 1, "push_prev": 1})
    launch(device, [load, FINISH], bases=Bases(acc=0x1000))
    launch(device, [store, Instruction(Opcode.FINISH, {"pop_next": 1})], bases=Bases(out=0x2000))
    assert device.read(0x2000 + 2 * config.out_bytes, 16).tolist() == list(range(16))


def test_left_over_tokens_survive(device):
    give = Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "push_next": 1})
    launch(device, [give, give, Instruction(Opcode.FINISH, {"pop_prev": 1})])
    launch(device, [Instruction(Opcode.FINISH, {"pop_prev": 1})])


def test_a_deadlock_says_who_waits_for_whom(device):
    load = Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "pop_next": 1, "push_next": 1})
    gemm = Instruction(Opcode.GEMM, {"pop_prev": 1, "push_prev": 1})
    message = refused(launch, device, [load, gemm, FINISH])
    assert message == (
        "device 'rtl': a program must finish, but found 10136 cycles without progress: load waits for a token of compute before "
        "instruction 0 (LOAD INP, pop_next, push_next); compute waits for a token of load before instruction 1 (GEMM, pop_prev, "
        "push_prev); store has done all its 0 instructions; try: a push for each pop, in an order that lets every module go on")
    launch(device, [FINISH])  # the device is fit for use again


def test_a_program_without_finish(device):
    nothing = Instruction(Opcode.GEMM)
    assert "load has done all its 0 instructions; compute has done all its 2 instructions" in refused(launch, device, [nothing, nothing])


def test_a_long_gemm_is_no_deadlock(device):
    gemm = Instruction(Opcode.GEMM, {"reset": 1, "uop_end": 1, "iter_out": 300, "iter_in": 100})
    assert launch(device, [gemm, FINISH]).cycles > 30_000


def test_too_few_cycles(device):
    gemm = Instruction(Opcode.GEMM, {"reset": 1, "uop_end": 1, "iter_out": 300, "iter_in": 100})
    assert refused(launch, device, [gemm, FINISH], max_cycles=5000) == (
        "device 'rtl': a launch must finish within max_cycles = 5000, but found load has done all its 0 instructions; compute is in "
        "instruction 0 (GEMM); store has done all its 0 instructions; try: a larger max_cycles")
    assert launch(device, [gemm, FINISH], max_cycles=50_000).cycles < 50_000


def test_an_access_outside_of_dram(device):
    load = Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "dram_base": 1 << 20, "y_size": 1, "x_size": 1, "x_stride": 1})
    message = refused(launch, device, [load, FINISH])
    assert message.startswith("device 'rtl': an access must lie within DRAM, but found a read of 16 bytes at 0x1000000 of 0x10000, in cycle ")
    assert message.endswith("; try: a program made for this memory plan, or a device with more dram_size")
    launch(device, [FINISH])


def test_streams_that_are_refused(device):
    start = "device 'rtl': an instruction stream has instructions and lies within DRAM, but found "
    end = "; try: the address it was written to"
    assert refused(device.launch, 0xFFF0, 2) == f"{start}2 instructions at 0xfff0 of 0x10000{end}"
    assert refused(device.launch, 0, 0) == f"{start}0 instructions at 0x0 of 0x10000{end}"
    assert refused(device.launch, 8, 1) == (
        "device 'rtl': an instruction stream is aligned to 16 bytes, but found 0x8; try: an aligned address")
    device.write(0, np.full(16, 0xFF, np.uint8))
    assert refused(device.launch, 0, 1).startswith("instruction 0: an opcode is one of 0 (LOAD)")


def test_devices_that_are_refused():
    assert refused(RtlDevice, DEFAULT, 0) == (
        "device 'rtl': dram_size is from 1 to 2**32, what pointers reach, but found 0; try: dram_size=1 << 26")
    assert refused(RtlDevice, DEFAULT, SIZE, bandwidth=1.5) == (
        "device 'rtl': bandwidth is above 0 and up to 1, in beats a cycle, but found 1.5; try: bandwidth=1.0")
    assert refused(RtlDevice, DEFAULT, SIZE, latency=-1) == (
        "device 'rtl': latencies are 0 or more and outstanding is 1 or more, but found -1, 0 and 64; try: latency=16, "
        "write_latency=0, outstanding=64")


def test_reads_and_writes_outside_of_dram(device):
    assert refused(device.write, SIZE - 1, np.zeros(2, np.uint8)) == (
        "device 'rtl': an access must lie within DRAM, but found 2 bytes at 0xffff of 0x10000; try: a device with more dram_size")


def test_a_waveform(tmp_path):
    path = tmp_path / "run.vcd"
    device = RtlDevice(DEFAULT, SIZE, waveform=path, verilog=copy_engine.verilog())
    launch(device, [FINISH])
    device.close()
    text = path.read_text()
    assert "$enddefinitions" in text and " irq $end" in text and text.count("\n#") > 100
