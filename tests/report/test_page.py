"""The page without a browser: what it carries adds up, and it asks nobody for anything."""

import dataclasses
import json
import re

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from tests.random_networks import random_network
from weft.compiler.pipeline import build
from weft.isa import PRESETS, WeftError, decode
from weft.isa.asm import to_text
from weft.report.figures import short_names
from weft.report.page import HERE, SCRIPTS, Run, data, page
from weft.report.timeline import packed, timeline, unpacked
from weft.runtime.trace import LAYERS, chrome_events
from weft.runtime.validate import random_inputs

DIGITS = ROOT / "examples" / "digits" / "digits_int8.onnx"


def run(threads: int, device: str = "rtl", config: str = "default") -> Run:
    module = weft.compile(DIGITS, config, virtual_threads=threads)
    return Run(f"{threads} threads", module, module.run(*random_inputs(module, 0), device=device, trace=True)[1])


@pytest.fixture(scope="module")
def runs():
    return [run(2), run(1)]


@pytest.fixture(scope="module")
def text(runs):
    return page(runs, data(runs, {"device": "device </script> & co"}))


def embedded(text: str, name: str) -> str:
    (found,) = re.findall(f'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.S)
    return found


def test_sums_are_right(runs, text):
    shown = json.loads(embedded(text, "report"))
    assert shown["network"] == "digits_int8" and shown["about"]["device"] == "device </script> & co"
    keys = {cause["key"] for cause in shown["causes"]}
    for entry, one in zip(shown["runs"], runs):
        layers = [layer for layer in entry["layers"] if layer["where"] == "accel"]
        assert entry["cycles"] == one.report.cycles == sum(layer["cycles"] for layer in layers)
        assert entry["utilisation"] == one.report.utilisation and entry["macs"] == sum(layer["macs"] for layer in layers)
        for layer, reported in zip(layers, one.report.accelerated):
            assert sum(layer["stalls"]["compute"].values()) == layer["cycles"] == reported.cycles
            assert (layer["name"], layer["read"], layer["written"]) == (reported.name, reported.bytes_read,
                                                                        reported.bytes_written)
        for module in ("load", "compute", "store"):
            assert sum(entry["stalls"][module].values()) == entry["cycles"] and set(entry["stalls"][module]) <= keys
        steps = one.report.counters["gemm_steps"]
        assert sum(entry["stalls"]["compute"][c] for c in ("gemm", "padding")) == steps
        # rounded by layer
        assert entry["stalls"]["compute"]["gemm"] == pytest.approx(entry["macs"] / 256, abs=len(layers) / 2)
        assert entry["losses"]["limit"] == entry["stalls"]["compute"]["gemm"] and sum(entry["losses"].values()) == entry["cycles"]
        assert set(entry["losses"]) <= set(shown["losses"]) and shown["losses"]["waits for load: dram"] == "waits for load: DRAM"


@pytest.mark.parametrize("names, shorts", [
    (["model/a/Relu", "model/a_1/Relu", "model/b/Add"], ["a", "a_1", "b"]),
    (["model/a/Relu", "model/a/Add"], ["Relu", "Add"]),
    (["m/x/a/Relu", "m/y/a/Relu;m/z", "m/y/a/Add"], ["x/a/Relu", "y/a/Relu", "y/a/Add"]),
    (["/f/c1/Conv", "/f/c2/c3/Conv", "plain"], ["f/c1", "f/c2/c3", "plain"]), (["only/one"], ["only"]), (["/"], ["/"]),
    ([], []),
])
def test_short_names(names, shorts):
    assert short_names(names) == shorts


def test_timelines_have_every_cycle_and_instruction(runs, text):
    for k, one in enumerate(runs):
        line = unpacked(embedded(text, f"timeline-{k}"))
        module = one.module
        instructions = decode(module.stream(module.launches[0]), module.config)
        assert [line["texts"][t] for t in line["instructions"]["text"]] == [to_text(i) for i in instructions]
        assert [module.operators[o].name for o in line["instructions"]["layer"]] == [
            module.operators[module.launches[0].operators[x]].name for x in module.launches[0].layers]
        for slices in line["slices"].values():
            start, length = np.array(slices["start"]), np.array(slices["length"])
            assert start[0] == 1 and (start[1:] == start[:-1] + length[:-1]).all() and length.sum() == one.report.cycles
            assert len(slices["kind"]) == len(slices["instruction"]) == len(slices["by"]) == len(start)


def test_launches_follow_one_another():
    """A network with an operator on the host in its middle: cycles of two launches in one line."""
    graph = next(g for g in map(random_network, range(99)) if len(g.nodes) > 2)
    graph.nodes[1].where, graph.nodes[1].reason = "host", "a test"
    module = build(graph, PRESETS["default"])
    report = module.run(*random_inputs(module, 0), device="rtl")[1]
    one, two = report.accounts
    assert report.bit_exact and (one.began, two.began) == (0, one.report.cycles) and report.cycles == two.began + two.report.cycles
    shown = data([Run("both", module, report)], {})["runs"][0]
    assert shown["launches"] == 2 and sum(x.get("cycles", 0) for x in shown["layers"]) == shown["cycles"] == report.cycles
    line = timeline(report)
    for slices in line["slices"].values():
        start, length = np.array(slices["start"]), np.array(slices["length"])
        assert start[0] == 1 and (start[1:] == start[:-1] + length[:-1]).all() and length.sum() == report.cycles
        assert max(slices["instruction"]) >= len(one.instructions)  # those of the second launch are numbered on
    assert len(line["instructions"]["text"]) == len(one.instructions) + len(two.instructions)
    trace = [e for e in chrome_events(module, report) if e["ph"] == "X" and e["tid"] == LAYERS]
    assert list(dict.fromkeys(e["name"] for e in trace)) == [node.name for node in graph.nodes if node.where == "accel"]
    assert sum(e["dur"] for e in trace) == report.cycles


def test_the_page_stands_alone(text):
    assert not re.findall(r"""(?:src|href)\s*=|@import|url\(|https?:(?!//www\.w3\.org/2000/svg)""", text)
    assert "default-src 'none'" in text and not re.findall(r"<!--\w+-->", text)
    assert text.count("</script>") == 4 and text.count("<title>digits_int8 · weft report</title>") == 1


def test_every_script_is_carried():
    assert {p.name for p in HERE.glob("*.js")} == set(SCRIPTS)


def test_every_cause_has_a_colour(runs):
    style = (HERE / "style.css").read_text()
    for cause in data(runs, {})["causes"]:
        assert style.count(f"--{cause['key'].replace('waits for ', 'waits-')}: #") == 2, cause["key"]  # light and dark


def test_packing_is_the_same_every_time():
    value = {"a": [1, 2, 3], "b": "é"}
    assert unpacked(packed(value)) == value and packed(value) == packed(value)


def test_a_network_of_the_host_alone_is_refused(runs):
    alone = dataclasses.replace(runs[0].report, launches=[], cycles=None)
    with pytest.raises(WeftError, match="^" + re.escape(
            "report of 'digits_int8': it shows cycles of the accelerator, but found a network that runs on the host "
            "altogether; "
            "try: `weft import` to see why") + "$"):
        data([Run("alone", runs[0].module, alone)], {})


@pytest.mark.parametrize("second, message", [
    (("functional", "default"),
     "report of 'digits_int8': it shows where cycles go, so it needs a device with a clock, but found device 'functional'; "
                                "try: --device rtl"),
    (("rtl", "1x32x32"),
     "report of 'digits_int8': runs side by side are of one machine (default), but found '1 threads' for 1x32x32; try: two "
     "reports"),
])
def test_refusals(runs, second, message):
    assert second[1] in PRESETS
    with pytest.raises(WeftError, match="^" + re.escape(message) + "$"):
        data([runs[0], run(1, *second)], {})
