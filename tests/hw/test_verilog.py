"""The Verilog that comes out: its ports, its files, and what Verilator's lint says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from weft.hw.verilog import TOP, write
from weft.isa import PRESETS

CONFIG = PRESETS["1x8x8"]
PORTS = """clk rst irq
    m_axi__awid m_axi__awaddr m_axi__awlen m_axi__awsize m_axi__awburst m_axi__awcache m_axi__awprot m_axi__awvalid
    m_axi__awready m_axi__wdata m_axi__wstrb m_axi__wlast m_axi__wvalid m_axi__wready m_axi__bid m_axi__bresp m_axi__bvalid
    m_axi__bready m_axi__arid m_axi__araddr m_axi__arlen m_axi__arsize m_axi__arburst m_axi__arcache m_axi__arprot
    m_axi__arvalid m_axi__arready m_axi__rid m_axi__rdata m_axi__rresp m_axi__rlast m_axi__rvalid m_axi__rready
    s_axil__awaddr s_axil__awprot s_axil__awvalid s_axil__awready s_axil__wdata s_axil__wstrb s_axil__wvalid s_axil__wready
    s_axil__bresp s_axil__bvalid s_axil__bready s_axil__araddr s_axil__arprot s_axil__arvalid s_axil__arready
    s_axil__rdata s_axil__rresp s_axil__rvalid s_axil__rready
    trace__load__start trace__load__end trace__compute__start trace__compute__end trace__store__start
    trace__store__end""".split()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(CONFIG, tmp_path_factory.mktemp("verilog"))


def test_ports_and_files(files):
    verilog, listing = files
    assert [f.name for f in files] == ["accelerator.v", "accelerator.f"] and listing.read_text() == "accelerator.v\n"
    assert sorted(f.name for f in verilog.parent.iterdir()) == ["accelerator.f", "accelerator.v"]
    header = re.search(rf"^module {TOP} ?\((.*?)\);", verilog.read_text(), re.M | re.S)[1]
    assert sorted(re.split(r"[\s,]+", header.strip())) == sorted(PORTS)


def test_memories_begin_without_a_line_a_row(files):
    assert not re.search(r"^\s*\\?word_0\s*\[\d+\] = ", files[0].read_text(), re.M)


def test_lint(files):
    verilator = shutil.which("verilator-cli", path=f"{Path(sys.executable).parent}") or shutil.which("verilator")
    if verilator is None:
        pytest.skip("no Verilator")
    done = subprocess.run([verilator, "--lint-only", "-Wall", "--top-module", TOP, "-f", str(files[1])],
                          capture_output=True, text=True, cwd=files[1].parent)
    assert done.returncode == 0, done.stdout + done.stderr
