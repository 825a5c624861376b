"""What a memory gives for a word that it writes in that cycle is never used: on an FPGA it is anything.

Sound programs, that is: one that stores what is written at that time gets either from any machine.
"""

import dataclasses
import re

import numpy as np
import pytest

from tests.random_programs import random_program
from weft.hw import verilog
from weft.isa import PRESETS
from weft.sim.functional import FunctionalDevice
from weft.sim.rtl import RtlDevice
from weft.sim.rtl.build import FAST, build

CONFIG = PRESETS["1x8x8"]
QUICK = dataclasses.replace(FAST, name="quick", make=("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"))
"""Built quickly rather than to be fast: the programs are short."""
READ = re.compile(r"(?P<register>\S+) <= (?P<word>.+);\n(?P<collides>\s+if \(.+\)\n\s+)(?P=register) <= \d+'hx+;")
"""A memory's port that reads, in yosys's Verilog, and what says that the word may be anything."""
ANYTHING = re.compile(r"<= \d+'hx+;")
LATENCIES = (0, 16, 64)


@pytest.fixture(scope="module")
def noisy():
    """The accelerator with memories that then give the opposite of every bit that was there, built."""
    rtlil = verilog.to_rtlil(CONFIG)
    assert not ANYTHING.search(verilog.verilog_of(rtlil))
    free = verilog.verilog_of(verilog.with_free_collisions(rtlil))
    text, count = READ.subn(r"\g<register> <= \g<word>;\n\g<collides>\g<register> <= ~\g<word>;", free)
    assert count == len(ANYTHING.findall(free)) > 50 and not ANYTHING.search(text)
    return build(text, QUICK)


@pytest.mark.parametrize("stalls", [False, True], ids=["steady", "stalls"])
@pytest.mark.parametrize("latency", LATENCIES)
def test_noise_changes_nothing(noisy, latency, stalls):
    for seed in range(LATENCIES.index(latency) + 3 * stalls, 600, 6):
        program = random_program(CONFIG, seed)
        size, after = program.dram_base + program.dram_before.size, []
        rtl = RtlDevice(CONFIG, size, latency=latency, stall_seed=seed if stalls else None, library=noisy)
        for device in (rtl, FunctionalDevice(CONFIG, size)):  # new ones: what no one has written is stored, too
            device.write(program.dram_base, program.dram_before)
            device.launch(program.insn_address, len(program.insns))
            after.append(device.read(0, size))
            device.close()
        assert np.array_equal(*after), program.name
