"""The timing device: every start, end and counter as on RTL; leaps as cycle by cycle; plain Python as compiled."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.conformance import programs
from tests.conftest import EXAMPLES, ROOT
from tests.random_programs import random_program
from weft.isa import DEFAULT, PRESETS, Instruction, Memory, Opcode, RawProgram, WeftError, encode
from weft.isa.registers import Queue
from weft.runtime.device import Bases, open_device
from weft.sim.conform import run_against
from weft.sim.dram import Timing
from weft.sim.timing import TimingDevice
from weft.sim.timing.device import COUNTERS
from weft.sim.timing.decode import decode_records
from weft.sim.timing.launch import Launch

SIZE, STREAM = 1 << 17, 0x8000
DRAMS = {"latency 0": {"latency": 0}, "latency 16": {}, "latency 64": {"latency": 64, "write_latency": 16},
         "half": {"bandwidth": 0.5, "latency": 5}, "one request": {"outstanding": 1}}
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=EXAMPLES or 15, suppress_health_check=[HealthCheck.too_slow])
FINISH = Instruction(Opcode.FINISH)


def compare(program: RawProgram, **options):
    """A program on the timing device and on RTL: nothing differs, counters included."""
    size = program.dram_base + program.dram_before.size
    timing, rtl = (open_device(name, program.config, size, **options) for name in ("timing", "rtl"))
    assert run_against(program, timing, rtl)[0] is None, program.name
    reports = [device.launch(program.insn_address, len(program.insns)) for device in (timing, rtl)]  # scratchpads and tokens survive
    mine, its = ({name: report.counters[name] for name in COUNTERS} for report in reports)
    assert mine == its, program.name
    timing.close(), rtl.close()


@pytest.mark.parametrize("options", DRAMS.values(), ids=DRAMS)
@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_conformance_programs_take_the_cycles_of_rtl(config, options):
    own = [program for program in programs() if program.config == config]
    for program in own:
        compare(program, **options)
    assert own


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@FEW
@given(seed=SEEDS, options=st.sampled_from(list(DRAMS.values())), length=st.sampled_from([4, 16, 60]))
def test_random_programs_take_the_cycles_of_rtl(config, seed, options, length):
    compare(random_program(config, seed, length), **options)


def model(program: RawProgram, timing: Timing, leaps: bool) -> Launch:
    insns = decode_records(program.insns, program.config, Bases())
    launch = Launch(insns, program.config, timing, program.insn_address, np.zeros(len(Queue), np.int64), np.zeros(program.config.uop_depth, np.int64))
    before = np.concatenate([np.zeros(program.dram_base, np.uint8), program.dram_before])
    launch.run(before, 1 << 20, leaps)
    return launch


@pytest.mark.parametrize("config", [*PRESETS.values(), *(dataclasses.replace(DEFAULT, bus_bits=bits) for bits in (128, 256, 512))],
                         ids=[*PRESETS, "128 bits", "256 bits", "512 bits"])
@settings(max_examples=EXAMPLES or 30)
@given(seed=SEEDS, latency=st.sampled_from([0, 1, 16, 64]), write_latency=st.sampled_from([0, 7]), outstanding=st.sampled_from([1, 2, 64]))
def test_leaps_are_cycles_of_random_programs(config, seed, latency, write_latency, outstanding):
    program, dram = random_program(config, seed), Timing(latency, write_latency, outstanding=outstanding)
    leapt, walked = (model(program, dram, leaps) for leaps in (True, False))
    assert np.array_equal(leapt.times, walked.times) and not walked.machine.stuck
    assert leapt.machine.tobytes() == walked.machine.tobytes()


def test_plain_python_is_the_same_model():
    """One program in another process, in which nothing is compiled."""
    program = next(p for p in programs() if p.name == "096_layers_00")
    script = ("import json\nfrom numba import config\nfrom tests.sim.test_timing import *\n"
              "program = next(p for p in programs() if p.name == '096_layers_00')\n"
              "print(json.dumps([config.DISABLE_JIT, model(program, Timing(), True).times.tolist()]))")
    plain = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=True)
    disabled, times = json.loads(plain.stdout)
    assert disabled and [tuple(row) for row in times] == model(program, Timing(), True).times.tolist()


def test_a_network_gives_the_cycles_of_rtl_and_the_outputs():
    import weft

    module = weft.compile(ROOT / "examples/digits/digits_int8.onnx")
    x = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
    (timed, report), (rtl, expected) = (module.run(x, device=name, trace=True) for name in ("timing", "rtl"))
    assert report.bit_exact and report.cycles == expected.cycles and all(np.array_equal(timed[name], rtl[name]) for name in rtl)
    assert [layer.cycles for layer in report.layers] == [layer.cycles for layer in expected.layers]
    for (_, mine), (_, its) in zip(report.launches, expected.launches):
        assert np.array_equal(mine.events, its.events)


def test_times_tell_more_than_start_and_end():
    program = programs()[0]
    device = TimingDevice(program.config, program.dram_base + program.dram_before.size, outputs=False)
    device.write(program.dram_base, program.dram_before)
    report = device.launch(program.insn_address, len(program.insns))
    times = device.times
    assert (times["fetched"] < times["start"]).all() and (times["start"] < times["end"]).all()
    issued = times["issued"] > 0
    assert issued.any() and ((times["start"] < times["issued"]) & (times["issued"] < times["end"]))[issued].all()
    beats = report.counters["read_beats"] + report.counters["write_beats"]
    assert times["beats"].sum() + 2 * len(program.insns) == beats  # and two of 64 bits an instruction
    assert np.array_equal(device.read(program.dram_base, program.dram_before.size), program.dram_before)


def launch(instructions, **options):
    device = TimingDevice(DEFAULT, SIZE)
    device.write(STREAM, encode(instructions, DEFAULT))
    return device.launch(STREAM, len(instructions), **options)


def load(memory: Memory, **fields) -> Instruction:
    return Instruction(Opcode.LOAD, {"memory_type": memory, "x_size": 1, "y_size": 1, "x_stride": 1, **fields})


def refused(call, *arguments, **options) -> str:
    with pytest.raises(WeftError) as error:
        call(*arguments, **options)
    return str(error.value)


def test_a_program_that_stands_still_is_refused_as_the_functional_device_does():
    text = refused(launch, [load(Memory.INP, pop_next=1), load(Memory.ACC, pop_prev=1, push_prev=1), FINISH])
    assert text == ("device 'functional': a program must reach FINISH, but found load waits for a token of compute before "
                    "instruction 0 (LOAD INP, pop_next); compute waits for a token of load before instruction 1 (LOAD ACC, pop_prev, "
                    "push_prev); store has done all its 0 instructions; try: `weft check` on the program")


def test_a_program_that_stands_still_without_outputs():
    device = TimingDevice(DEFAULT, SIZE, outputs=False)
    device.write(STREAM, encode([load(Memory.ACC, pop_prev=1), FINISH], DEFAULT))
    assert refused(device.launch, STREAM, 2) == (
        "device 'timing': a program must finish, but found it stands still in cycle 39 with 2 of 2 instructions left; "
        "try: a push for each pop, in an order that lets every module go on; `weft check` on the program")


def test_max_cycles():
    cycles = launch([FINISH]).cycles
    assert launch([FINISH], max_cycles=cycles).cycles == cycles
    assert refused(launch, [FINISH], max_cycles=cycles - 1) == (
        f"device 'timing': a launch must finish within max_cycles = {cycles - 1}, but found 1 of 1 instructions left; try: a larger max_cycles")


def test_instructions_that_are_left_at_finish_have_no_event():
    stream = [FINISH, load(Memory.INP, pop_next=1)]
    assert launch(stream).cycles == launch([FINISH]).cycles
    assert refused(launch, stream, trace=True) == ("device 'timing': each instruction has one event, but found 1 of 2 instructions left at FINISH; "
                                                   "try: a FINISH that is the last instruction and waits for the others")


@pytest.mark.parametrize(("options", "text"), [
    ({"bandwidth": 0}, "device 'timing': bandwidth is above 0 and up to 1, in beats a cycle, but found 0; try: bandwidth=1.0"),
    ({"outstanding": 512}, "device 'timing': latencies are 0 or more and outstanding is from 1 to 511, but found 16, 0 and 512; "
                           "try: latency=16, write_latency=0, outstanding=64"),
    ({"latency": -1}, "device 'timing': latencies are 0 or more and outstanding is from 1 to 511, but found -1, 0 and 64; "
                      "try: latency=16, write_latency=0, outstanding=64")])
def test_drams_that_the_model_has_not(options, text):
    assert refused(TimingDevice, DEFAULT, SIZE, **options) == text


def store(**fields) -> Instruction:
    return Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "x_size": 1, "y_size": 1, "x_stride": 1, **fields})


@pytest.mark.parametrize(("at", "rows", "found"), [(64, 1, True), (63, 1, False), (63, 2, True), (65, 1, False), (0, 65, True), (66, 9, False)])
def test_stores_over_micro_ops_are_refused(at, rows, found):
    """Micro-ops at bytes 1024 to 1039, a result of 16 bytes at 16 * at."""
    stream = [load(Memory.UOP, dram_base=256, x_size=4), store(dram_base=at, y_size=rows), store(dram_base=900), FINISH]
    if not found:
        launch(stream)
        return
    assert refused(launch, stream) == ("device 'timing': a program must not store over micro-ops that it loads, but found one that does; "
                                       "try: the RTL device, which times this too")
