"""The page in headless Chromium, as a reader uses it: chooses a layer, reads a number, looks into the timeline.

Skipped where there is no Chromium; WEFT_BROWSER=1 demands it.
"""

import json

import pytest

from tests.report.browser import Browser, find
from tests.report.test_page import embedded, run
from weft.report.page import data, page


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    find()
    made = tmp_path_factory.mktemp("report") / "report.html"
    runs = [run(2), run(1)]
    made.write_text(page(runs, data(runs, {"device": "device rtl"})))
    return made


@pytest.fixture(scope="module")
def shown(path):
    return json.loads(embedded(path.read_text(), "report"))


@pytest.fixture
def wide(path):
    with Browser(1200, 900) as browser:
        browser.open(path)
        yield browser
        assert browser.problems == []


def figure(browser, name: str) -> str:
    return browser.evaluate(f"document.querySelector('[data-figure=\"{name}\"]').textContent")


def test_a_layer_is_chosen_and_its_cycles_are_read(wide, shown):
    first = shown["runs"][0]
    assert wide.evaluate("document.querySelector('h1').textContent") == "digits_int8"
    index, layer = next((k, x) for k, x in enumerate(first["layers"]) if x["name"] == "conv2")
    wide.click(f"tr[data-layer='{index}'] button")
    assert wide.evaluate("document.querySelector('#layer-title').textContent") == "conv2"
    assert figure(wide, "cycles") == f"{layer['cycles']:,}" and figure(wide, "utilisation") == f"{100 * layer['utilisation']:.1f} %"
    cells = wide.evaluate("[...document.querySelectorAll('#layer-causes tfoot td')].map((cell) => cell.textContent)")
    other = shown["runs"][1]["layers"][index]
    assert cells == ["all", f"{layer['cycles']:,}", "100 %", f"{other['cycles']:,}", "100 %"]
    wide.click("#whole")
    assert figure(wide, "cycles") == f"{first['cycles']:,}"


def test_the_limit_and_what_is_beyond_it_are_read(wide, shown):
    first = shown["runs"][0]
    row = lambda name: wide.evaluate(f"[...document.querySelectorAll('#losses {name} td')].map((cell) => cell.textContent)")
    limit = first["losses"]["limit"]
    assert row("tr[data-loss=limit]")[:3] == ["physical limit", f"{limit:,}", f"{100 * limit / first['cycles']:.1f} %"]
    assert row("tfoot")[:3] == ["all cycles", f"{first['cycles']:,}", "100.0 %"]
    assert wide.evaluate("document.querySelectorAll('#losses tbody tr')[0].dataset.loss") == "limit"


def test_the_table_sorts(wide, shown):
    layers = [x for x in shown["runs"][0]["layers"] if x["where"] == "accel"]
    column = wide.evaluate("[...document.querySelectorAll('#layers th')].findIndex((head) => head.textContent === "
                           "'cycles')") + 1
    read = f"[...document.querySelectorAll('#layers tbody td:nth-child({column})')].map((cell) => Number(cell.textContent.replaceAll(',', '')))"
    assert wide.evaluate(read) == [x["cycles"] for x in layers]
    wide.click(f"#layers th:nth-child({column}) button")
    assert wide.evaluate(read) == sorted((x["cycles"] for x in layers), reverse=True)
    assert wide.evaluate(f"document.querySelector('#layers th:nth-child({column})').getAttribute('aria-sort')") == "descending"
    wide.click(f"#layers th:nth-child({column}) button")
    assert wide.evaluate(read) == sorted(x["cycles"] for x in layers)


def test_the_timeline_shows_zooms_and_tells(wide):
    colours = "new Set(new Uint32Array(document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1000, 120).data.buffer)).size"
    assert wide.evaluate(colours) > 5  # something is drawn
    before = wide.evaluate("document.querySelector('canvas').toDataURL()")
    wide.evaluate("document.querySelector('canvas').scrollIntoView({block: 'center'})")
    x, y = wide.evaluate("(() => { const b = document.querySelector('canvas').getBoundingClientRect(); return [b.left + "
                         "b.width / 2, b.top + 70]; })()")
    wide.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400)
    wide.evaluate("new Promise(requestAnimationFrame)")
    zoomed = wide.evaluate("document.querySelector('canvas').toDataURL()")
    assert zoomed != before
    wide.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    wide.mouse("mouseMoved", x - 200, y, button="left", buttons=1)
    wide.mouse("mouseReleased", x - 200, y, button="left", clickCount=1)
    assert wide.evaluate("document.querySelector('canvas').toDataURL()") != zoomed
    wide.mouse("mouseMoved", x, y)
    tip = wide.evaluate("document.querySelector('#tip').hidden ? '' : document.querySelector('#tip').innerText")
    assert "cycles" in tip and "#" in tip


def test_a_layer_is_chosen_in_the_timeline(wide, shown):
    """The strips of the whole network are as long as its layers."""
    wide.click("#whole")
    wide.evaluate("document.querySelector('canvas').scrollIntoView({block: 'center'})")
    left, top, width = wide.evaluate("(() => { const b = document.querySelector('canvas').getBoundingClientRect();"
                                     " return [b.left, b.top, b.width]; })()")
    first = shown["runs"][0]
    longest = max(run["cycles"] for run in shown["runs"])
    # amid the third operator
    cycle = sum(x["cycles"] for x in first["layers"][:3] if "cycles" in x) - first["layers"][2]["cycles"] / 2
    x = left + 66 + (width - 74) * (cycle + 0.01 * longest) / (1.02 * longest)
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        wide.mouse(kind, x, top + 31, **({} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}))
    assert wide.evaluate("document.querySelector('#layer-title').textContent") == first["layers"][2]["short"]


def test_the_keyboard_is_enough(wide):
    wide.evaluate("document.querySelector('canvas').focus()")
    for key in ("n", "n", "n"):
        wide.key(key)
    said = wide.evaluate("document.querySelector('#announced').textContent")
    assert said.startswith("compute. #") and "cycles" in said
    wide.key("p")
    assert wide.evaluate("document.querySelector('#announced').textContent") != said
    wide.evaluate("document.querySelector('#roofline circle').focus()")
    wide.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    label = wide.evaluate("document.querySelector('#roofline circle').getAttribute('aria-label')")
    assert label.startswith(wide.evaluate("document.querySelector('#layer-title').textContent"))


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_a_phone(path, dark):
    with Browser(390, 844, dark=dark, touch=True) as phone:
        phone.open(path)
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert phone.problems == []
        paper = phone.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, paper[4:-1].split(","))) < 64) == dark
