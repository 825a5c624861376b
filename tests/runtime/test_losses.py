"""Losses: the physical limit and what is beyond it make all cycles, each of them once."""

from collections import Counter

import pytest

import weft
from tests.conftest import ROOT
from weft.isa import DEFAULT, Module
from weft.runtime.losses import GIVERS, LIMIT, MEANING, SPLIT, divided, losses, split
from weft.runtime.stalls import CAUSES, PRODUCTS, WAITS_FOR
from weft.runtime.validate import random_inputs


@pytest.fixture(scope="module")
def report():
    module = weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx")
    return module.run(*random_inputs(module, 0), device="timing")[1]


def test_steps_of_products_are_divided():
    stalls = {"gemm": 100, "dram": 7}
    assert split(stalls, 256 * 60, DEFAULT) == {"gemm": 60, "padding": 40, "dram": 7}
    assert split(stalls, 256 * 100, DEFAULT) == {"gemm": 100, "dram": 7}
    assert split({"depthwise": 50}, 256 * 9, DEFAULT) == {"depthwise": 9, "taps": 41}
    assert split({"gemm": 10, "depthwise": 50}, 256 * 19, DEFAULT) == {"gemm": 10, "depthwise": 9, "taps": 41}
    assert split({"alu": 5}, 0, DEFAULT) == {"alu": 5} and list(split({"dram": 1, "gemm": 2}, 512, DEFAULT)) == ["gemm", "dram"]
    assert split({"gemm": 3}, 300, DEFAULT) == {"gemm": 1, "padding": 2}
    assert set(SPLIT) == {*CAUSES, *MEANING} and len(SPLIT) == len(set(SPLIT))


def test_losses_and_limit_are_all_cycles(report):
    found = losses(report, DEFAULT)
    layers = report.accelerated
    assert sum(found.values()) == report.cycles and next(iter(found)) == LIMIT and all(found.values())
    assert found[LIMIT] == pytest.approx(sum(layer.macs for layer in layers) / 256, abs=len(layers) / 2)
    rest = [cycles for cause, cycles in found.items() if cause != LIMIT]
    assert rest == sorted(rest, reverse=True)


def test_losses_are_the_causes_of_the_layers(report):
    found, causes = losses(report, DEFAULT), Counter()
    for layer in report.accelerated:
        causes.update(layer.causes)
    assert found[LIMIT] + sum(found.get(rest, 0) for rest in ("padding", "taps")) == sum(causes[kind] for kind in PRODUCTS)
    for giver in GIVERS:
        waits = [cycles for cause, cycles in found.items() if cause.startswith(divided(giver, ""))]
        assert sum(waits) == causes[WAITS_FOR[giver]] and WAITS_FOR[giver] not in found
    assert found[divided(Module.LOAD, "dram")] > 0
    same = {cause for cause in causes if cause not in PRODUCTS and not cause.startswith("waits")}
    assert {cause: found[cause] for cause in same} == {cause: causes[cause] for cause in same}
