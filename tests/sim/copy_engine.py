"""The small machine of copy_engine.v and how to run it, for tests of what is around a machine."""

from pathlib import Path

import numpy as np

from weft.sim.dram import Timing
from weft.sim.rtl.build import FAST, build
from weft.sim.rtl.library import Machine

BLOCK = 16  # beats
FIXED_BURST, OVER_PAGE, UNSTABLE, NO_LAST, NEVER_DONE, SMALL_BEAT, NO_REGISTERS = range(1, 8)


def verilog(bus_bits: int = 64) -> str:
    return (Path(__file__).parent / "copy_engine.v").read_text().replace("BUS_BITS", str(bus_bits))


def machine(dram: np.ndarray, timing: Timing = Timing(), bus_bits: int = 64, flavour=FAST) -> Machine:
    """A machine at rest over this DRAM."""
    made = Machine(build(verilog(bus_bits), flavour, name="the copy engine"))
    made.attach(dram, timing)
    made.reset()
    return made


def start(made: Machine, source: int, target: int, blocks: int, fault: int = 0) -> bool:
    """Begins to copy; False where a register gives no answer."""
    values = {"insn_count": blocks, "insn_address": source, "out_base": target, "wgt_base": fault}
    if not all(made.write_register(name, value) for name, value in values.items()):
        return False
    made.forget_events()
    return made.write_register("control", 1)
