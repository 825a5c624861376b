import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import weft as package
from tests.runtime.test_module import MODULE
from tests.test_cli import DIGITS, weft  # noqa: F401: a fixture
from weft.isa import WeftError
from weft.report.seconds import data, page, write
from weft.runtime.report import LayerReport, RunReport

ALONE = dataclasses.replace(MODULE, launches=[])


def run(*seconds: float | None) -> RunReport:
    layers = [LayerReport(f"layer <{k}>", "conv2d", "cpu" if taken else "host", (1, 2), 1_000_000 * k, seconds=taken)
              for k, taken in enumerate(seconds)]
    return RunReport("cpu", "default", layers, 7, seconds=sum(s or 0 for s in seconds), bit_exact=False, agrees=True)


def test_medians_of_runs():
    shown = data(ALONE, [run(1e-3, 2e-3), run(5e-3, 2e-3), run(2e-3, 3e-3)], 2)
    assert [layer["seconds"] for layer in shown["layers"]] == [2e-3, 2e-3] and shown["seconds"] == 5e-3
    assert (shown["network"], shown["threads"], shown["runs"], shown["macs"]) == ("net", 2, 3, 7)


class Cells(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta",):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "td":
            self.rows[-1].append(text)


def test_the_page_has_a_row_a_layer():
    text = page(data(ALONE, [run(1e-3, 3e-3, None)], 1))
    assert "on the CPU, 1 thread; agrees with the reference" in text and "<dd>4.000</dd>" in text
    assert Cells(text).rows[1:] == [["layer <0>", "conv2d", "1x2", "1.000", "25.0%"], ["layer <1>", "conv2d", "1x2", "1,000,000", "3.000", "0.3", "75.0%"],
                                    ["layer <2>", "conv2d, host", "1x2", "2,000,000"]]


def test_networks_with_launches_and_pictures_are_refused(tmp_path):
    with pytest.raises(WeftError, match="^" + re.escape(
            "report of 'net': seconds by layer are for a network without the accelerator, but found 1 launches; "
            "try: the report of its cycles, or `weft compile --target cpu`") + "$"):
        data(MODULE, [run(1e-3)], 1)
    with pytest.raises(WeftError, match="seconds by layer are drawn as a page, but found '.svg'; try: a file name that ends in .html$"):
        write(tmp_path / "r.svg", data(ALONE, [run(1e-3)], 1))
    assert not list(tmp_path.iterdir())


def test_the_command_shows_seconds_of_a_network_for_the_cpu(weft, tmp_path):  # noqa: F811
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    package.compile(DIGITS, target="cpu", cpu="native").save(tmp_path / "d.weft")
    for file in (DIGITS, tmp_path / "d.weft"):
        status, text, _ = weft("report", file, "--target", "cpu", "--threads", "1", "--input", tmp_path / "x.npy", "-o", tmp_path / "r.html", "--json")
        shown = json.loads(text)
        assert status == 0 and shown["bit_exact"] and shown["threads"] == 1 and len(shown["layers"]) == 9
        assert "<title>digits_int8 · weft report</title>" in (tmp_path / "r.html").read_text()
    assert "digits_int8" in weft("report", tmp_path / "d.weft", "-o", tmp_path / "r.html")[1]
