"""The timeline: valid as Chrome's trace format, with every instruction, every cycle and every byte."""

import json
from collections import defaultdict

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from weft.isa import Module, decode
from weft.runtime.stalls import CAUSES
from weft.runtime.trace import LAYERS, write

X = np.random.default_rng(3).random((1, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def digits():
    return weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx")


@pytest.fixture(scope="module")
def traced(digits, tmp_path_factory):
    """(the run's report, the file's content) of a run on RTL."""
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    _, report = digits.run(X, device="rtl", trace=True)
    write(path, digits, report)
    return report, json.loads(path.read_text())


def by_track(events):
    tracks = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[event["tid"]].append(event)
    return tracks


def check_format(content):
    """What a viewer demands: known phases, numbers, slices of a track one after the other, arrows with two ends in slices."""
    assert isinstance(content["traceEvents"], list) and content["displayTimeUnit"] in ("ms", "ns")
    arrows = defaultdict(list)
    tracks = by_track(content["traceEvents"])
    for event in content["traceEvents"]:
        assert event["ph"] in "MXCsf" and isinstance(event["name"], str) and event["pid"] == 0 and isinstance(event["tid"], int)
        if event["ph"] != "M":
            assert isinstance(event["ts"], int) and event["ts"] >= 0
        if event["ph"] == "C":
            assert event["args"] and all(isinstance(v, int) and v >= 0 for v in event["args"].values())
        if event["ph"] in "sf":
            arrows[event["id"]].append(event)
    for slices in tracks.values():
        for one, next_one in zip(slices, slices[1:]):
            assert one["dur"] > 0 and one["ts"] + one["dur"] <= next_one["ts"]
    for ends in arrows.values():
        assert [e["ph"] for e in ends] == ["s", "f"] and ends[0]["ts"] < ends[1]["ts"] and ends[1]["bp"] == "e"
        assert all(any(s["ts"] <= e["ts"] < s["ts"] + s["dur"] for s in tracks[e["tid"]]) for e in ends)
    return tracks, arrows


def test_every_instruction_has_its_slice(digits, traced):
    report, content = traced
    tracks, arrows = check_format(content)
    names = {e["tid"]: e["args"]["name"] for e in content["traceEvents"] if e["name"] == "thread_name"}
    assert names == {0: "load", 1: "compute", 2: "store", LAYERS: "layers"} and arrows
    instructions = decode(digits.stream(digits.launches[0]), digits.config)
    for module in Module:
        shown = [e for e in tracks[module] if "done" in e["args"]]
        own = [k for k, i in enumerate(instructions) if i.module == module]
        numbers = [int(e["args"]["instruction"].split()[0][1:]) for e in shown]
        if module == Module.COMPUTE:  # several run at once, and some are never in front
            assert set(numbers) <= set(own) and len(set(numbers)) > len(own) // 2
        else:
            assert numbers == own
        events = report.launches[0][1].events[numbers]
        assert [(e["args"]["began"], e["args"]["done"]) for e in shown] == list(zip(events["start"].tolist(), events["end"].tolist()))
        assert all(e["args"]["began"] <= e["ts"] and e["ts"] + e["dur"] <= e["args"]["done"] + 1 for e in shown)
    assert {e["args"]["layer"] for e in tracks[Module.COMPUTE]} == {o.name for o in digits.operators if o.where == "accel"}


def test_the_layers_track_has_every_cycle(digits, traced):
    report, content = traced
    layers = by_track(content["traceEvents"])[LAYERS]
    assert list(dict.fromkeys(e["name"] for e in layers)) == [digits.operators[k].name for k in digits.launches[0].operators]
    assert sum(e["dur"] for e in layers) == report.cycles and layers[0]["ts"] == 1


def test_waits_are_those_of_the_account(digits, traced):
    report, content = traced
    tracks = by_track(content["traceEvents"])
    (account,) = report.accounts
    for module in Module:
        own = account.segments[account.segments["module"] == module]
        for cause in ("waits for load", "waits for compute", "waits for store", "fetch"):
            cycles = own[own["cause"] == CAUSES.index(cause)]
            assert sum(e["dur"] for e in tracks[module] if e["name"] == cause) == (cycles["end"] - cycles["start"]).sum()
    waited = [e for e in tracks[Module.COMPUTE] if "waited" in e["args"]]
    assert waited and all(e["args"]["waited"].split(" cycles for #")[0].isdigit() for e in waited)


def test_counters(digits, traced):
    report, content = traced
    (account,) = report.accounts
    counters = defaultdict(list)
    for event in content["traceEvents"]:
        if event["ph"] == "C":
            counters[event["name"]].append(event)
    moved = counters.pop("DRAM bytes in 1000 cycles")
    for name, exact in (("read", sum(w.read for w in account.works)), ("written", sum(w.written for w in account.works))):
        assert abs(sum(e["args"][name] for e in moved) - exact) <= len(moved) / 2  # each value is rounded
    assert set(counters) == {"tokens load to compute", "tokens compute to load", "tokens compute to store", "tokens store to compute"}
    for values in counters.values():
        assert max(e["args"]["tokens"] for e in values) > 0 and values[-1]["args"]["tokens"] == 0
        assert all(a["ts"] < b["ts"] for a, b in zip(values, values[1:]))


def test_a_device_without_a_clock_counts_instructions(digits, tmp_path):
    _, report = digits.run(X, device="functional", trace=True)
    write(tmp_path / "trace.json", digits, report)
    content = json.loads((tmp_path / "trace.json").read_text())
    tracks, arrows = check_format(content)
    assert content["otherData"]["a microsecond is"] == "an instruction" and not arrows
    assert sum(map(len, tracks.values())) == sum(launch.insn_count for launch in digits.launches)
