"""What a step of GEMM, DEPTHWISE or ALU carries through the pipeline of the compute module."""

from amaranth.lib import data

from .loops import TAP_BITS

# `valid`: it reads and writes ACC; `last`: its instruction ends with it, and then the tokens and `finish` count. An
# instruction without steps is one that is last and not valid.
STEP = data.StructLayout({"valid": 1, "last": 1, "push_prev": 1, "push_next": 1, "finish": 1,
                          "gemm": 1, "reset": 1, "long": 1, "lut": 1, "op": 3, "use_imm": 1, "imm": 16})

# What DEPTHWISE adds. `used`: the GEMM core's operands are the window; `slides`: an element of INP enters it in this step
# (which may be no `valid` one: the window is not full, or not far enough).
WINDOW = data.StructLayout({"used": 1, "slides": 1, "taps": TAP_BITS})
