"""What a memory gives for a word that it writes in that cycle is never used: on an FPGA it is anything."""

import re

import numpy as np
import pytest

from tests.random_programs import random_program
from weft.hw import verilog
from weft.isa import PRESETS
from weft.sim.functional import FunctionalDevice
from weft.sim.rtl import RtlDevice

CONFIG = PRESETS["1x8x8"]
DRAM = 1 << 20
UNKNOWN = re.compile(r"(\d+)'[hb]x+")


@pytest.fixture(scope="module")
def noisy():
    """The accelerator with memories that give ones and zeros by turns for such a word."""
    text = verilog.verilog_of(verilog.with_free_collisions(verilog.to_rtlil(CONFIG)))
    assert len(UNKNOWN.findall(text)) > 50
    device = RtlDevice(CONFIG, DRAM, verilog=UNKNOWN.sub(lambda found: f"{found[1]}'d{int('01' * 64, 2) & (1 << int(found[1])) - 1}", text))
    yield device
    device.close()


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_noise_changes_nothing(noisy, first):
    for seed in range(first, first + 40):
        program = random_program(CONFIG, seed)
        found = []
        for device in (noisy, FunctionalDevice(CONFIG, DRAM)):
            device.write(program.dram_base, program.dram_before)
            device.launch(program.insn_address, len(program.insns))
            found.append(device.read(program.dram_base, program.dram_before.size))
        assert np.array_equal(*found), program.name
