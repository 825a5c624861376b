import json
import re

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from weft.isa import PRESETS, WeftError
from weft.runtime.device import open_device
from weft.runtime.executor import Executor, reference


@pytest.fixture(scope="module")
def digits():
    return weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx")


X = np.random.default_rng(3).random((1, 1, 8, 8)).astype(np.float32)


def test_cpu_and_accelerator_take_turns(digits):
    outputs, report = digits.run(X)
    assert report.bit_exact and report.cycles is None and report.macs == digits.macs == 230720
    assert [layer.where for layer in report.layers] == ["cpu"] + ["accel"] * 7 + ["cpu"]
    assert np.array_equal(outputs["logits"], reference(digits, [X])["logits"])


def test_a_saved_module_runs_alike(digits, tmp_path):
    digits.save(tmp_path / "digits.weft")
    again = weft.load(tmp_path / "digits.weft")
    assert np.array_equal(again.run(X)[0]["logits"], digits.run(X)[0]["logits"])


def test_layers_add_up_to_the_cycles_of_the_launch(digits):
    _, report = digits.run(X, device="rtl", latency=3)
    assert report.bit_exact and sum(layer.cycles for layer in report.accelerated) == report.cycles
    assert all(sum(layer.causes.values()) == layer.cycles for layer in report.accelerated)
    bus = digits.config.bus_bits // 8
    assert 0 <= bus * report.counters["read_beats"] - sum(layer.bytes_read for layer in report.accelerated) < bus * 7  # odd numbers of micro-ops
    assert sum(layer.bytes_written for layer in report.accelerated) == bus * report.counters["write_beats"]
    assert report.utilisation == pytest.approx(digits.macs / 256 / report.cycles)
    shown = json.loads(json.dumps(report.to_dict({"y": np.zeros((1, 2), np.int8)})))
    assert {"device", "cycles", "macs", "utilisation", "bit_exact", "outputs", "layers"} <= set(shown)
    assert shown["outputs"] == [{"name": "y", "shape": [1, 2], "dtype": "int8", "values": [0, 0]}]
    assert {"name", "op", "where", "macs", "cycles"} <= set(shown["layers"][0])


def test_accounts_are_made_when_someone_asks(digits):
    _, report = digits.run(X, device="timing")
    assert report.cycles and report.utilisation == pytest.approx(digits.macs / 256 / report.cycles)
    assert "accounts" not in vars(report) and all(row.cycles is None for row in report.rows)
    assert sum(layer.cycles for layer in report.accelerated) == report.cycles and "accounts" in vars(report)
    assert digits.run(X)[1].accounts == []


def test_a_module_for_another_config_is_refused(digits):
    small = PRESETS["1x8x8"]
    with pytest.raises(WeftError, match="^" + re.escape(
            f"module 'digits_int8': it was compiled for config 'default' ({digits.config.fingerprint}), but found a device of config "
            f"'1x8x8' ({small.fingerprint}); try: `weft compile --config` for that device") + "$"):
        Executor(digits, open_device("functional", small, digits.memory_size))


@pytest.mark.parametrize("inputs, message", [
    ([], "module 'digits_int8': it takes 1 inputs (image), but found 0; try: one array for each, in this order"),
    ([X[0]], "input 'image' of module 'digits_int8': it is float32 [1, 1, 8, 8], but found float32 [1, 8, 8]; "
             "try: array.astype and reshape, or the model's own preprocessing"),
    ([X.astype(np.float64)], "input 'image' of module 'digits_int8': it is float32 [1, 1, 8, 8], but found float64 [1, 1, 8, 8]; "
                             "try: array.astype and reshape, or the model's own preprocessing"),
])
def test_inputs_that_are_refused(digits, inputs, message):
    with pytest.raises(WeftError, match="^" + re.escape(message) + "$"):
        digits.run(*inputs)


def test_devices_that_are_none(digits):
    with pytest.raises(WeftError, match="^device 'gpu': a device is one of functional, reference, rtl, timing, but found 'gpu'; try: one of these names$"):
        digits.run(X, device="gpu")
    with pytest.raises(WeftError, match="^device 'functional': an option must be one that the device has, but found .*'latency'; try: leaving it out$"):
        digits.run(X, device="functional", latency=3)
