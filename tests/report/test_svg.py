"""The picture for documents: well-formed, and as wide as the cycles are many."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tests.report.test_page import run
from weft.report.page import data
from weft.report.svg import LEFT, RIGHT, WIDTH, svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def runs():
    return [run(2), run(1)]


def test_bars_are_the_cycles(runs):
    root = ElementTree.fromstring(svg(data(runs, {"device": "a < b & c"})))
    assert "a < b & c" in "".join(root.itertext())
    shown = data(runs, {})
    bars: dict[str, list[float]] = {}
    for rect in root.iter(f"{SVG}rect"):
        if float(rect.get("x")) >= LEFT and float(rect.get("width")) != 10 or rect.get("rx") is None:
            bars.setdefault(rect.get("y"), []).append(float(rect.get("width")))
    widths = [sum(parts) for parts in bars.values()]
    longest = max(r["cycles"] for r in shown["runs"])
    full = WIDTH - LEFT - RIGHT
    assert widths[:2] == pytest.approx([full * r["cycles"] / longest for r in shown["runs"]], abs=1)
    layers = [[x["cycles"] for x in r["layers"] if x["where"] == "accel"] for r in shown["runs"]]
    scale = max(map(max, layers))
    assert widths[2:] == pytest.approx([full * cycles / scale for pair in zip(*layers) for cycles in pair], abs=1)


def test_every_bar_has_a_colour_in_both_schemes(runs):
    text = svg(data(runs[:1], {}))
    style = text[text.index("<style>"):text.index("</style>")]
    for name in set(re.findall(r'<rect class="([^"]+)"', text)):
        assert style.count(f".{name}{{fill:#") == 2, name
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
