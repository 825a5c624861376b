"""What `weft bench` says is what a run says."""

import json
import re

import pytest

from tests.bench.test_networks import MACS
from tests.test_cli import weft  # noqa: F401: a fixture
from weft.bench import networks
from weft.bench.measure import GOALS, measure
from weft.isa import DEFAULT, WeftError

DIGITS = "examples/digits/digits_int8.onnx"


def test_a_measurement_is_what_a_run_says():
    found = measure(DIGITS, "timing", DEFAULT)
    again = measure(DIGITS, "timing", DEFAULT, latency=64)
    assert found.utilisation == found.macs / (256 * found.cycles) and found.bit_exact and found.goal is None
    assert found.macs == again.macs and found.cycles < again.cycles
    assert found.causes["limit"] == pytest.approx(found.macs / 256, abs=4) and sum(found.causes.values()) == found.cycles
    functional = measure(DIGITS, "functional", DEFAULT)
    assert functional.cycles is None and functional.causes is None


def test_the_command_prints_every_figure(weft):  # noqa: F811
    status, out, _ = weft("bench", DIGITS, "--json")
    row, = json.loads(out)
    assert status == 0 and (row["network"], row["device"], row["macs"]) == (DIGITS, "timing", 230720)
    assert {"cycles", "utilisation", "seconds", "goal", "bit_exact"} < set(row) and sum(row["causes"].values()) == row["cycles"]
    status, out, _ = weft("bench", DIGITS)
    assert status == 0 and re.search(r"physical limit +\d", out) and re.search(rf"all +{row['cycles']:,}", out)
    status, out, _ = weft("bench", DIGITS, "--device", "functional")
    assert status == 0 and " 0.2 " in out and "yes" in out and "physical limit" not in out


def test_goals_are_of_networks_that_exist():
    assert set(GOALS) == set(networks.NETWORKS)
    assert all(macs / 256 < GOALS[name] for name, macs in MACS.items())


def test_no_such_network():
    message = "network 'resnet19': a network is one of resnet18, resnet50, mobilenet_v1, mobilenet_v2, or a model's file, but found no such file; " \
              "try: one of these names"
    with pytest.raises(WeftError, match=f"^{re.escape(message)}$"):
        measure("resnet19", "functional", DEFAULT)


def test_a_network_on_the_cpu_has_seconds_and_no_cycles():
    found = measure(DIGITS, "timing", DEFAULT, target="cpu", threads=1)
    assert (found.device, found.cycles, found.goal, found.bit_exact, found.agrees) == ("cpu", None, None, True, True)
    assert 0 < found.seconds < 60 and found.causes is None
