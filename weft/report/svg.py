"""The picture for a document: cycles by cause of every layer, of one run or of two beside one another, as SVG."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from weft.isa.files import write_atomically

from .page import HERE, Run, data

WIDTH, LEFT, RIGHT, TOP = 860, 190, 130, 76
ROW, BAR, THIN = 24, 13, 5  # a layer's row; the bar of the first run, and of the second below it


def svg(shown: dict) -> str:
    """The picture's text. shown: `page.data` of one run or two."""
    first, *others = shown["runs"]
    layers = [layer for layer in first["layers"] if layer["where"] == "accel"]
    rows = [(layer["short"], layer, *(_same(run, layer["name"]) for run in others)) for layer in layers]
    longest = max(entry["cycles"] for _, *entries in rows for entry in entries if entry)
    whole = [("the whole network", first, *others)]
    parts = [_text(0, 18, shown["network"], "title")]
    parts += [_text(0, 38 + 17 * k, line, "muted") for k, line in enumerate(_headline(shown))]
    y = TOP
    for group, scale in ((whole, max(run["cycles"] for run in shown["runs"])), (rows, longest)):
        for name, *entries in group:
            parts += _row(y, name, entries, scale, shown["causes"])
            y += ROW
        y += 10
    legend, height = _legend(y + 6, shown)
    style = _style([cause["key"] for cause in shown["causes"]])
    name = html.escape(shown["network"])
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{name}: cycles by cause</title>'
            f"<style>{style}</style>{''.join(parts)}{legend}</svg>\n")


def write(path: str | Path, runs: Sequence[Run], about: dict[str, str]) -> dict:
    """Writes the picture beside and renames it. Arguments, result and errors as of `page.data`."""
    shown = data(runs, about)
    write_atomically(path, svg(shown))
    return shown


def _same(run: dict, name: str) -> dict | None:
    return next((layer for layer in run["layers"] if layer["name"] == name and "cycles" in layer), None)


def _headline(shown: dict) -> list[str]:
    bars = ("wide bars", "thin bars")
    counts = [f"{bar}: {run['label']}, {run['cycles']:,} cycles, {run['utilisation']:.1%} of all MACs"
              for bar, run in zip(bars, shown["runs"])]
    config = shown["config"]
    about = ", ".join(shown["about"][k] for k in ("device", "memory", "input") if k in shown["about"])
    return [f"{config['macs_per_cycle']} MACs a cycle, {config['bus_bits']}-bit bus, {about}", "; ".join(counts)]


def _row(y: int, name: str, entries: Sequence[dict | None], scale: int, causes: Sequence[dict]) -> list[str]:
    parts = [_text(LEFT - 10, y + BAR - 2, _short(name), "end")]
    for k, entry in enumerate(entry for entry in entries if entry):
        parts += _bar(y + k * (BAR + 1), THIN if k else BAR, entry, scale, causes)
    entry = entries[0]
    used = [_text(WIDTH, y + BAR - 2, f"{entry['utilisation']:.1%}", "end muted")] if entry["macs"] else []
    return [*parts, _text(WIDTH - 55, y + BAR - 2, f"{entry['cycles']:,}", "end muted"), *used]


def _bar(y: int, height: int, entry: dict, scale: int, causes: Sequence[dict]) -> list[str]:
    parts, x = [], float(LEFT)
    for cause in causes:
        cycles = entry["stalls"]["compute"].get(cause["key"], 0)
        width = (WIDTH - LEFT - RIGHT) * cycles / scale
        if width >= 0.05:
            parts.append(f'<rect class="{_class(cause["key"])}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}"/>')
        x += width
    return parts


def _legend(y: int, shown: dict) -> tuple[str, int]:
    """(its elements, the picture's height)"""
    parts, x = [], 0
    for cause in shown["causes"]:
        if not any(run["stalls"]["compute"].get(cause["key"]) for run in shown["runs"]):
            continue
        width = 36 + round(6.3 * len(cause["label"]))
        if x + width > WIDTH:
            x, y = 0, y + 20
        parts += [f'<rect class="{_class(cause["key"])}" x="{x}" y="{y}" width="10" height="10" rx="2"/>',
                  _text(x + 16, y + 9, cause["label"], "")]
        x += width
    return "".join(parts), y + 20


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{html.escape(text)}</text>'


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else "…" + name[1 - most:]


def _class(key: str) -> str:
    return key.replace(" ", "-")


def _style(keys: Sequence[str]) -> str:
    """Colours of the page, light and dark."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in
                   re.findall(r":root \{(.*?)\}", (HERE / "style.css").read_text(), re.S))

    def rules(colours: dict[str, str]) -> str:
        fills = "".join(f".{_class(key)}{{fill:{colours[key.replace('waits for ', 'waits-')]}}}" for key in keys)
        return f"text{{fill:{colours['ink']}}}.muted{{fill:{colours['muted']}}}{fills}"

    return ("text{font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}"
            ".title{font-size:18px;font-weight:600}.end{text-anchor:end}"
            f"{rules(light)}@media(prefers-color-scheme:dark){{{rules(dark)}}}")
