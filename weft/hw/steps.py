"""What an instruction of the compute module is, decoded, and what its steps carry through the engines."""

from enum import IntEnum

from amaranth.lib import data

from .loops import TAP_BITS

ENTRY_BITS = 4
ENTRIES = 1 << ENTRY_BITS  # instructions on their way at once; see in_flight.py


class Engine(IntEnum):
    """What runs an instruction: nothing (it only moves tokens), GEMM and DEPTHWISE, ALU and resets, LOAD."""

    NONE, MULTIPLY, ALU, LOAD = 0, 1, 2, 3


class Use(IntEnum):
    """What two instructions of different engines can meet in, apart from micro-ops: the bits of `uses`."""

    LOWER, UPPER, PARAMETERS = 0, 1, 2  # half of ACC, half of ACC, QNT and LUT


# `clear`: a GEMM with reset. `long`: takes more than a cycle: requant, lut, and `slow`, which is shr
# and mul. `confined`: it says that it stays in a half of ACC, the `upper` one or not.
HEAD = data.StructLayout({"engine": 2, "uses": len(Use), "push_prev": 1, "push_next": 1, "finish": 1, "loads_uop": 1,
                          "clear": 1, "long": 1, "lut": 1, "slow": 1, "op": 3, "use_imm": 1, "imm": 16, "confined": 1,
                          "upper": 1})

# `valid`: it writes ACC; `last`: its instruction, of entry `index`, ends with it.
_STEP = {"valid": 1, "last": 1, "index": ENTRY_BITS, "confined": 1, "upper": 1}
STEP = data.StructLayout(_STEP)
ALU_STEP = data.StructLayout(_STEP | {"reads_dst": 1, "reads_src": 1, "clear": 1, "long": 1, "lut": 1, "slow": 1, "op": 3,
                                      "use_imm": 1, "imm": 16})

# `reads_*`: it is valid, and reads that of ACC.

# What DEPTHWISE adds. `used`: the GEMM core's operands are the window; `slides`: an element of INP enters it in this step
# (which may be no `valid` one: the window is not full, or not far enough).
WINDOW = data.StructLayout({"used": 1, "slides": 1, "taps": TAP_BITS})
