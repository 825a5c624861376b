"""The command `weft report`."""

import json
import re

import numpy as np

from tests.report.test_page import DIGITS
from tests.test_cli import weft  # noqa: F401: a fixture


def test_a_network_is_shown_with_latency_hiding_on_and_off(weft, tmp_path):
    status, text, _ = weft("report", DIGITS, "-o", tmp_path / "r.html", "--json")
    shown = json.loads(text)
    assert status == 0 and [r["label"] for r in shown["runs"]] == ["2 virtual threads", "1 virtual thread"]
    assert all(r["bit_exact"] and sum(r["stalls"]["compute"].values()) == r["cycles"] for r in shown["runs"])
    about = {"device": "device rtl", "input": "random input", "memory": "read latency 16 cycles"}
    assert about.items() <= shown["about"].items()
    assert "<title>digits_int8 · weft report</title>" in (tmp_path / "r.html").read_text()


def test_modules(weft, tmp_path):
    module = tmp_path / "d.weft"
    weft("compile", DIGITS, "-o", module)
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    status, out, _ = weft("report", module, "-o", tmp_path / "r.html", "--input", tmp_path / "x.npy", "--latency", "3")
    assert status == 0 and re.search(r"^ all +\d,\d{3} 100.0%", out, re.M) and "read latency 3 cycles" in (tmp_path / "r.html").read_text()
    shown = json.loads(weft("report", module, "-o", tmp_path / "r.html", "--against", module, "--json")[1])
    assert [r["label"] for r in shown["runs"]] == [str(module)] * 2
    assert weft("report", module, "-o", tmp_path / "none.html", "--device", "functional") == (
        1, "",
        "weft: refused: report of 'digits_int8': it shows where cycles go, so it needs a device with a clock, but found "
        "device "
               "'functional'\ntry: --device rtl\n")
    assert not (tmp_path / "none.html").exists()
