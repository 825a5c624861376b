"""The reference device: one NumPy call for many steps means the same as one step at a time."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.conformance import programs
from tests.random_programs import random_program
from weft.isa import PRESETS
from weft.sim.conform import run_one
from weft.sim.reference import ReferenceDevice


@pytest.mark.parametrize("sequential", [True, False], ids=["sequential", "at_once"])
@pytest.mark.parametrize("program", programs(), ids=lambda p: p.name)
def test_conformance(program, sequential):
    device = ReferenceDevice(program.config, program.dram_base + program.dram_before.size, sequential)
    assert run_one(program, device) == (None, None)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs_mean_the_same_one_step_at_a_time(config, seed):
    program = random_program(config, seed)
    results = []
    for sequential in (True, False):
        device = ReferenceDevice(config, program.dram_base + program.dram_before.size, sequential)
        device.write(program.dram_base, program.dram_before)
        device.launch(program.insn_address, len(program.insns))
        results.append((device.dram, device.pads.acc, device.pads.counters))
    assert np.array_equal(results[0][0], results[1][0]) and np.array_equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]
