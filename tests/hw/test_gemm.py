"""What synthesis makes of the GEMM core."""

import dataclasses

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil

from weft.hw.gemm import DotProducts
from weft.isa import PRESETS

CONFIG = dataclasses.replace(PRESETS["1x8x8"], block_in=4, block_out=4)


def multipliers(passes: str) -> int:
    script = f"read_rtlil <<rtlil\n{rtlil.convert(DotProducts(CONFIG), emit_src=False)}\nrtlil\n" \
             f"{passes}\nwrite_verilog -noattr\n"
    return find_yosys(lambda version: version >= (0, 40)).run(["-q", "-"], script, ignore_warnings=True).count(" * ")


def test_windows_need_no_multipliers_of_their_own():
    assert multipliers("proc\nopt_clean") == CONFIG.macs_per_cycle
