"""What is built is built once."""

import multiprocessing

import pytest

from tests.sim import copy_engine
from weft.hw.verilog import TOP
from weft.isa import PRESETS, WeftError
from weft.sim.rtl import build


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
