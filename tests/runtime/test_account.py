"""Accounts of launches: cycles by layer, and what stood behind a wait, cycle by cycle."""

from collections import Counter

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from weft.isa import Module
from weft.runtime.account import main_wait
from weft.runtime.stalls import CAUSES


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


def test_the_main_wait_is_no_work():
    assert main_wait({"gemm": 90, "dram": 3, "pipeline": 7, "done": 40}) == ("pipeline", 7)
    assert main_wait({"gemm": 90}) is None
