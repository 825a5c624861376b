"""What is read out of the tools' reports, recorded: yosys' log of the accelerator, and nextpnr's report of a memory, a
product and a sum."""

import json
from pathlib import Path

import pytest

from weft.fpga.reports import Hop, Resource, memories, read_reports
from weft.isa import WeftError

REPORTS = Path(__file__).parent / "reports"
KNOWN = {"config": "1x8x8", "part": "core", "device": "ECP5-85F, speed grade 6", "seed": 1,
         "harness_registers": 446, "seconds": 1.0}
LOG = """
mapping memory harness.accelerator.compute.acc.lower_acc_1 via $__PDPW16KD_
mapping memory harness.accelerator.compute.acc.lower_acc_0 via $__PDPW16KD_
mapping memory harness.accelerator.compute.alu.tables.lane_7_word_0 via $__DP16KD_
mapping memory harness.accelerator.compute.alu.qnt.word_23 via $__TRELLIS_DPR16X4_
Extracted data FF from read port 0 of harness.accelerator.compute.alu.qnt.word_23: $rdreg[0]
using FF mapping for memory harness.accelerator.fetch.buffer
"""


def test_memories_by_name_and_store():
    assert memories(LOG) == {
        "compute.acc.lower_acc_*": {"block RAM": 2}, "compute.alu.qnt.word_*": {"LUT RAM": 1},
        "compute.alu.tables.lane_*_word_*": {"block RAM": 1}, "fetch.buffer": {"registers": 1}}


@pytest.fixture
def recorded():
    return (REPORTS / "yosys.log").read_text(), (REPORTS / "report.json").read_text()


def test_a_run(recorded):
    report = read_reports(*recorded, **KNOWN)
    raw = json.loads(recorded[1])
    assert set(report.resources) == {"LUT4", "FF", "DSP 18x18", "block RAM 18 Kbit", "LUT RAM 16x4"}
    assert report.resources["DSP 18x18"] == Resource(1, 156)
    assert report.path[0].kind == "clk-to-q" and report.path[-1].kind == "setup"
    assert len(report.path) == len(next(p for p in raw["critical_paths"] if p["from"] == p["to"])["path"])
    assert 1000 / report.fmax_mhz == pytest.approx(sum(hop.ns for hop in report.path), abs=0.01)
    assert sum(map(report.ns, ("clk-to-q", "logic", "routing", "setup"))) == pytest.approx(
        sum(hop.ns for hop in report.path))
    assert report.memories["compute.multiply.wgt.word_*"] == {"block RAM": 8}
    assert json.loads(json.dumps(report.to_dict()))["resources"]["DSP 18x18"] == {"used": 1, "available": 156}


def test_two_clocks_are_refused(recorded):
    raw = json.loads(recorded[1])
    raw["fmax"]["other"] = {"achieved": 1.0, "constraint": 1.0}
    with pytest.raises(WeftError) as error:
        read_reports(recorded[0], json.dumps(raw), **KNOWN)
    assert str(error.value) == "nextpnr's report: the accelerator has one clock, but found 2; " \
                               "try: a top with one clock domain"


def test_a_report_without_a_path_is_refused(recorded):
    raw = json.loads(recorded[1])
    raw["critical_paths"] = [path for path in raw["critical_paths"] if path["from"] != path["to"]]
    with pytest.raises(WeftError) as error:
        read_reports(recorded[0], json.dumps(raw), **KNOWN)
    assert str(error.value).startswith("nextpnr's report: a path leads from register to register, but found none at ")
    assert isinstance(read_reports(*recorded, **KNOWN).path[0], Hop)
