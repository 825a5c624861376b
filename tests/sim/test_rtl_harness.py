"""Clock, AXI4 memory and host of the harness, around a machine that is simple enough to say what must happen."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.sim import copy_engine
from weft.isa import Module
from weft.sim.dram import Timing
from weft.sim.rtl.library import Stop

SIZE = 1 << 16
BLOCKS = 5


def copied(timing: Timing, bus_bits: int = 64) -> tuple[int, bool]:
    """(cycles, is the copy right) of BLOCKS blocks."""
    dram = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8)
    before = dram.copy()
    made = copy_engine.machine(dram, timing, bus_bits)
    size = BLOCKS * copy_engine.BLOCK * bus_bits // 8
    assert copy_engine.start(made, 0x1000, 0x8000, BLOCKS)
    assert made.run(1_000_000, 10_000) == Stop.DONE and made.fault is None
    before[0x8000:0x8000 + size] = before[0x1000:0x1000 + size]
    return made.read_register("cycles"), np.array_equal(dram, before)


@pytest.mark.parametrize("latency, write_latency", [(0, 0), (16, 0), (64, 16)])
def test_latencies_are_exact(latency, write_latency):
    cycles, right = copied(Timing(latency, write_latency))
    a_block = 1 + latency + 16 + 1 + 16 + write_latency + 1  # request, data, request, data, response
    assert right and cycles == BLOCKS * a_block + 1


def test_bandwidth_spaces_the_beats():
    cycles, right = copied(Timing(0, bandwidth=0.25))
    assert right and BLOCKS * 4 * 32 - 8 * BLOCKS <= cycles <= BLOCKS * (4 * 32 + 3) + 1


@pytest.mark.parametrize("bus_bits", [64, 512])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_random_stalls_change_time_but_no_byte(bus_bits, seed):
    cycles, right = copied(Timing(4, stall_seed=seed), bus_bits)
    assert right and cycles > BLOCKS * 39 + 1
    assert copied(Timing(4, stall_seed=seed), bus_bits) == (cycles, True)


def test_the_event_log():
    made = copy_engine.machine(np.zeros(SIZE, np.uint8), Timing(3))
    copy_engine.start(made, 0, 0x8000, 2)
    launched = made.last_register_write
    made.run(1000, 1000)
    starts, ends = made.events(Module.LOAD)
    assert (starts - launched).tolist() == [2, 40] and (ends - launched).tolist() == [21, 59]
    starts, ends = made.events(Module.STORE)
    assert (starts - launched).tolist() == [22, 60] and (ends - launched).tolist() == [39, 77]
    assert len(made.events(Module.COMPUTE)[0]) == 1
    made.forget_events()
    assert len(made.events(Module.LOAD)[0]) == 0


@pytest.mark.parametrize("fault, rule, found", [
    (copy_engine.FIXED_BURST, "AXI4: a burst is of type INCR (1)", "type 0 in the read at 0xe00"),
    (copy_engine.OVER_PAGE, "AXI4: a burst crosses no 4 KiB boundary", "a read of 128 bytes at 0xfc0"),
    (copy_engine.UNSTABLE, "AXI4: a sender holds VALID and its payload until READY", "a change on channel AR"),
    (copy_engine.NO_LAST, "AXI4: WLAST marks the last beat of a burst and no other", "no WLAST on the last beat, of the write at 0x8000"),
    (copy_engine.SMALL_BEAT, "AXI4: a beat is as wide as the bus", "4 bytes of 8 in the read at 0xe00"),
])
def test_what_breaks_the_bus_protocol_is_told(fault, rule, found):
    for seed in range(20):  # some faults need a stall to show
        made = copy_engine.machine(np.zeros(SIZE, np.uint8), Timing(stall_seed=seed))
        copy_engine.start(made, 0xE00, 0x8000, 4, fault)
        stop = made.run(100_000, 10_000)
        if fault != copy_engine.UNSTABLE or stop == Stop.FAULT:
            break
    assert stop == Stop.FAULT
    assert (made.fault.rule, made.fault.found, made.fault.hint) == (rule, found, "a fault in weft/hw")


@pytest.mark.parametrize("source, target, found", [
    (SIZE, 0, "a read of 128 bytes at 0x10000 of 0x10000"), (0, SIZE, "a write of 128 bytes at 0x10000 of 0x10000")])
def test_an_access_outside_of_dram_is_told(source, target, found):
    made = copy_engine.machine(np.zeros(SIZE, np.uint8))
    copy_engine.start(made, source, target, 1)
    assert made.run(10_000, 1000) == Stop.FAULT
    assert (made.fault.rule, made.fault.found) == ("an access must lie within DRAM", found)


def test_a_machine_that_stands_still_or_runs_too_long():
    made = copy_engine.machine(np.zeros(SIZE, np.uint8))
    copy_engine.start(made, 0, 0x8000, 1, copy_engine.NEVER_DONE)
    assert made.run(50, 1000) == Stop.OUT_OF_CYCLES
    began = made.last_register_write
    assert made.run(100_000, 1000) == Stop.QUIET
    assert 1000 <= made.now - began <= 1010 and made.fault is None


def test_registers_that_give_no_answer():
    made = copy_engine.machine(np.zeros(SIZE, np.uint8))
    assert not copy_engine.start(made, 0, 0x8000, 1, copy_engine.NO_REGISTERS)
    assert made.read_register("cycles") is None
    assert made.fault.found == "none in 1000 cycles, at offset 0x00"


def test_dram_is_the_array_itself():
    dram = np.zeros(SIZE, np.uint8)
    made = copy_engine.machine(dram)
    dram[:128] = 7  # after attach
    copy_engine.start(made, 0, 0x8000, 1)
    made.run(1000, 1000)
    assert dram[0x8000:0x8080].tolist() == [7] * 128
