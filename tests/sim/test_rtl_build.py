"""What is built is built once."""

import multiprocessing
import shutil

import numpy as np
import pytest

from tests.sim import copy_engine
from weft.hw.verilog import TOP
from weft.isa import PRESETS, WeftError
from weft.isa.check import check
from weft.runtime.device import open_device
from weft.sim.rtl import build, busy
from weft.sim.rtl.toolchain import find_verilator


def test_the_top_module_is_called_as_the_hardware_calls_it():
    assert build.TOP == TOP


def make(text):
    return build.build(text)


@pytest.mark.slow
def test_two_processes_build_once_and_a_change_builds_again(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    text = copy_engine.verilog()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(make, [text, text])
    assert first == second and list(tmp_path.glob("rtl-*.so")) == [first]
    stamp = first.stat().st_mtime_ns
    assert make(text) == first and first.stat().st_mtime_ns == stamp
    changed = make(text + "// another text\n")
    assert sorted(tmp_path.glob("rtl-*.so")) == sorted([first, changed])
    assert not list(tmp_path.glob(".build-*"))


def test_a_library_is_made_of_what_it_was_trained_on(tmp_path, monkeypatch):
    for path in build.SOURCES.iterdir():
        if path.is_file():
            shutil.copyfile(path, tmp_path / path.name)
    verilator = find_verilator()
    key = lambda training: build.library_key("module", build.FAST, verilator, training)
    before = key(None), key(PRESETS["default"])
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    assert (key(None), key(PRESETS["default"])) == before and before[0] != before[1]
    (tmp_path / "busy.py").write_text("another program")
    assert key(None) == before[0] and key(PRESETS["default"]) != before[1]
    (tmp_path / "harness.cpp").write_text("another harness")
    assert key(None) != before[0]


@pytest.mark.parametrize("config", [PRESETS["default"], PRESETS["1x8x8"]], ids=lambda config: config.name)
@pytest.mark.parametrize("alu", [False, True])
def test_what_is_trained_on_is_sound_and_busy(config, alu):
    """The checker finds nothing, the machine has no tokens left, and most cycles have products, of both engines with `alu`."""
    instructions, micro_ops = busy.program(config, 12, alu)
    memory = np.zeros(busy.INSN_AT, np.uint8)
    memory[busy.UOP_AT:busy.UOP_AT + micro_ops.nbytes] = micro_ops.view(np.uint8)
    assert [str(finding) for finding in check(instructions, config, memory, 0)] == []
    device = open_device("rtl", config, busy.DRAM_SIZE)
    report, again = (busy.launch(device, 12, alu) for _ in range(2))
    device.close()
    assert report.cycles == again.cycles and report.counters["gemm_steps"] > 0.8 * report.cycles
    assert report.counters["alu_steps"] == alu * report.counters["gemm_steps"]


def test_verilog_that_verilator_refuses(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    with pytest.raises(WeftError) as error:
        build.build("module accelerator(input clk); wire [3:0] a = ; endmodule\n")
    log = tmp_path / "failed-build.log"
    assert str(error.value).startswith("building the RTL with verilator: it must exit with 0, but found 1 and "
                                       "`%Error: top.v:1:47: syntax error, unexpected ';'")
    assert str(error.value).endswith(f"`; try: the whole output in {log}")
    assert "syntax error" in log.read_text()
    assert not list(tmp_path.glob("rtl-*")) and not list(tmp_path.glob(".build-*"))


def test_the_verilog_of_a_config_is_written_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    written = []
    monkeypatch.setattr("weft.hw.verilog.to_verilog", lambda config: written.append(config) or "module accelerator; endmodule\n")
    first = build.verilog_of(PRESETS["1x8x8"])
    assert build.verilog_of(PRESETS["1x8x8"]) == first and len(written) == 1
    build.verilog_of(PRESETS["default"])
    assert len(written) == 2
