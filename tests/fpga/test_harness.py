"""The harness has every port of the accelerator, and as many registers as it says."""

import re

import pytest
from amaranth._toolchain.yosys import find_yosys

from weft.fpga import harness
from weft.hw import verilog
from weft.hw.top import Accelerator
from weft.isa import Config

TINY = Config(name="tiny", block_in=4, block_out=4, uop_buffer=256, inp_buffer=256, wgt_buffer=512, acc_buffer=512,
              qnt_buffer=512, lut_buffer=512)


@pytest.fixture(scope="module")
def accelerator():
    return verilog.to_rtlil(TINY)


@pytest.fixture(scope="module")
def text(accelerator):
    return harness.to_rtlil(accelerator)


def test_every_port_but_clock_reset_and_trace(accelerator):
    top = Accelerator(TINY)
    top._MustUse__silence = True
    wanted = {"__".join(path): len(value) for path, _, value in top.signature.flatten(top) if path[0] != "trace"}
    inputs, outputs = harness.pins(accelerator)
    assert inputs | outputs == wanted and not inputs.keys() & outputs.keys()
    assert "m_axi__rdata" in inputs and "s_axil__awaddr" in inputs and "m_axi__araddr" in outputs and "irq" in outputs


def test_registers_are_counted(accelerator, text):
    module = re.search(r"^module \\harness\n(.*?)^end\n", text, re.M | re.S)[1]
    widths = {name: int(bits) for bits, name in re.findall(r"^  wire width (\d+) +\\(shifted|outputs|fold_\d+)$", module,
                                                           re.M)}
    assert harness.registers(accelerator) == sum(widths.values())
    assert widths["shifted"] == sum(harness.pins(accelerator)[0].values())


def test_yosys_finds_both_modules_and_their_ports_agree(accelerator, text):
    script = f"read_rtlil <<rtlil\n{accelerator}\nrtlil\nread_rtlil <<rtlil\n{text}\nrtlil\n" \
             "hierarchy -check -top harness\n" \
             "select -assert-count 3 harness/i:*\nselect -assert-count 1 harness/o:*\n"  # clk, rst, serial; folded
    find_yosys(lambda version: version >= (0, 40)).run(["-q", "-"], script, ignore_warnings=True)
