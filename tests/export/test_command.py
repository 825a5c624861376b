"""`weft export` and `weft export-device`, as a user types them."""

import json
import sys

import numpy as np
import pytest

from tests.export.c_device import CDevice
from tests.export.c_network import CNetwork
from tests.random_networks import random_network
from weft.cli import main
from weft.compiler.pipeline import build
from weft.isa import PRESETS

SMALL = PRESETS["1x8x8"]


def weft(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["weft", *map(str, arguments)])
    status = 0
    try:
        main()
    except SystemExit as stop:
        status = stop.code or 0
    return status, *capsys.readouterr()


@pytest.fixture
def module(tmp_path):
    made = build(random_network(0, SMALL.batch), SMALL)
    made.save(tmp_path / "some.weft")
    return made


def test_export(monkeypatch, capsys, tmp_path, module):
    status, out, _ = weft(monkeypatch, capsys, "export", tmp_path / "some.weft", "-o", tmp_path / "libnet.so", "--prefix", "libnet", "--json")
    assert status == 0
    assert json.loads(out) == {"library": str(tmp_path / "libnet.so"), "bytes": (tmp_path / "libnet.so").stat().st_size}
    status, out, _ = weft(monkeypatch, capsys, "export-device", "-o", tmp_path / "device.so", "--config", "1x8x8")
    assert status == 0 and "device.so" in out.replace("\n", "")
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".h", ".h", ".h", ".so", ".so", ".weft"]
    status, out, _ = weft(monkeypatch, capsys, "export-device", "--board", "-o", tmp_path / "board.so")
    assert status == 0 and {"board.so", "board.h"} <= {p.name for p in tmp_path.iterdir()}
    device = CDevice(tmp_path / "device.so", SMALL, module.memory_size)
    network = CNetwork(tmp_path / "libnet.so", module, device)
    x = np.random.default_rng(0).integers(-128, 128, module.tensors["x"].shape).astype(np.int8)
    status, outputs = network.run([x])
    assert status == 0 and all(np.array_equal(outputs[k], v) for k, v in module.run(x)[0].items())


def test_refusals(monkeypatch, capsys, tmp_path, module):
    status, _, err = weft(monkeypatch, capsys, "export", tmp_path / "some.weft", "-o", tmp_path / "net.dll")
    assert status == 1 and "its name ends in .so (shared) or .o" in err.replace("\n", " ")
    status, _, err = weft(monkeypatch, capsys, "export", tmp_path / "none.weft", "-o", tmp_path / "net.so")
    assert status == 1 and "a module file must be readable" in err.replace("\n", " ")
