"""Accounts of launches: cycles by layer, and what stood behind a wait, cycle by cycle."""

from collections import Counter

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from weft.isa import Module
from weft.runtime.account import main_wait
from weft.runtime.stalls import CAUSES
from weft.runtime.validate import random_inputs


@pytest.fixture(scope="module")
def account():
    module = weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx", virtual_threads=1)
    (found,) = module.run(np.zeros((1, 1, 8, 8), np.float32), device="rtl")[1].accounts
    return found


def by_cycle(account, module):
    """(cause, layer) of every cycle."""
    own = account.segments[account.segments["module"] == module]
    return [(CAUSES[s["cause"]], account.launch.layers[s["instruction"]]) for s in own for _ in range(s["start"], s["end"])]


def test_layers_have_every_cycle(account):
    for module in Module:
        expected = Counter(by_cycle(account, module))
        for layer in range(len(account.launch.operators)):
            assert account.stalls(layer, module) == {c: expected[c, layer] for c in CAUSES if expected[c, layer]}
        assert sum(expected.values()) == account.report.cycles


def test_what_stands_behind_a_wait(account):
    for giver in (Module.LOAD, Module.STORE):
        pairs = zip(by_cycle(account, Module.COMPUTE), by_cycle(account, giver))
        expected = Counter((layer, theirs) for (cause, layer), (theirs, _) in pairs if cause == f"waits for {giver.name.lower()}")
        found = {(layer, cause): n for layer in range(len(account.launch.operators)) for cause, n in account.behind(layer, giver).items()}
        assert found == expected and sum(found.values()) > 50


@pytest.mark.models
@pytest.mark.parametrize("name", ["resnet8_cifar10_int8.tflite", "kws_dscnn_int8.tflite", "ad01_autoencoder_int8.tflite"])
@pytest.mark.parametrize("threads", [1, 2])
def test_trained_networks(models, name, threads):
    """Every cycle has its cause, and the bytes and steps of the stream are what the RTL counts."""
    module = weft.compile(models / name, virtual_threads=threads)
    report = module.run(*random_inputs(module, 0), device="rtl", check=False)[1]
    causes = Counter()
    for layer in report.accelerated:
        causes.update(layer.causes)
        assert sum(layer.causes.values()) == layer.cycles and layer.macs <= layer.cycles * module.config.macs_per_cycle
    assert sum(causes.values()) == report.cycles
    # a step of DEPTHWISE may take more than a cycle; what runs beside products is counted as these
    assert causes["gemm"] <= report.counters["gemm_steps"] <= causes["gemm"] + causes["depthwise"]
    assert 0 < causes["alu"] + causes["requant"] <= report.counters["alu_steps"]
    bus = module.config.bus_bits // 8
    assert sum(layer.bytes_written for layer in report.accelerated) == bus * report.counters["write_beats"]
    assert 0 <= bus * report.counters["read_beats"] - sum(layer.bytes_read for layer in report.accelerated) < 0.01 * bus * report.cycles


def test_the_main_wait_is_no_work():
    assert main_wait({"gemm": 90, "dram": 3, "pipeline": 7, "done": 40}) == ("pipeline", 7)
    assert main_wait({"gemm": 90}) is None
