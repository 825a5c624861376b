"""The GEMM core as a part: all of its engine, and nothing of the ALU."""

from amaranth._toolchain.yosys import find_yosys

from tests.fpga.test_harness import TINY
from weft.fpga import harness
from weft.fpga.core import Core
from weft.hw import verilog


def test_every_member_of_the_engine_is_inside_or_a_port():
    inputs, outputs = harness.pins(verilog.to_rtlil(TINY, Core))
    assert {"begin", "word", "index", "load_write__valid", "own_write__data", "out_address", "out_enable",
            "out_takes"} <= inputs.keys()
    assert {"ready", "issuing", "done__valid", "stepped", "strays"} <= outputs.keys()
    assert sum(name.startswith("out_data__") for name in outputs) == TINY.batch * TINY.block_out


def test_it_multiplies_as_the_whole_does_and_no_more():
    text = verilog.to_rtlil(TINY, Core)
    script = f"read_rtlil <<rtlil\n{text}\nrtlil\nproc\nflatten\nopt_clean\nwrite_verilog -noattr\n"
    found = find_yosys(lambda version: version >= (0, 40)).run(["-q", "-"], script, ignore_warnings=True)
    assert found.count(" * ") == TINY.macs_per_cycle
