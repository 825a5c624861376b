"""Puts figures, timelines, style and scripts together into one page that needs no network."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.isa import WeftError
from weft.isa.files import write_atomically
from weft.runtime import module as compiled
from weft.runtime.report import RunReport

from .figures import causes, figures, loss_label
from .timeline import packed, timeline

HERE = Path(__file__).parent
SCRIPTS = ("base.js", "bars.js", "layers.js", "roofline.js", "slices.js", "timeline.js", "main.js")  # in this order, in one scope


@dataclass(frozen=True)
class Run:
    """One module's run, and what to call it beside others."""

    label: str
    module: compiled.Module
    report: RunReport


def data(runs: Sequence[Run], about: dict[str, str]) -> dict:
    """What the page shows, for JSON. The first run is the one that is shown where there is room for one only.

    about: lines of the headline: what was run, and with what.

    Raises
    ------
    WeftError: where a run has no cycles, or runs are of different machines.
    """
    first = runs[0]
    for run in runs:
        if not run.report.launches:
            raise WeftError(f"report of '{run.module.name}'", "it shows cycles of the accelerator",
                            "a network that runs on the host altogether", "`weft import` to see why")
        if run.report.cycles is None:
            raise WeftError(f"report of '{run.module.name}'", "it shows where cycles go, so it needs a device with a clock",
                            f"device '{run.report.device}'", "--device rtl")
        if run.module.config.fingerprint != first.module.config.fingerprint:
            raise WeftError(f"report of '{first.module.name}'",
                            f"runs side by side are of one machine ({first.module.config.name})",
                            f"'{run.label}' for {run.module.config.name}", "two reports")
    config = first.module.config
    found = [figures(run.module, run.report, run.label) for run in runs]
    return {"network": first.module.name, "about": about, "causes": causes(),
            "losses": {key: loss_label(key) for run in found for key in run["losses"]},
            "config": {**config.to_dict(), "macs_per_cycle": config.macs_per_cycle, "bus_bytes": config.bus_bits // 8,
                       "fingerprint": config.fingerprint},
            "runs": found}


def page(runs: Sequence[Run], shown: dict) -> str:
    """The page's text. shown: `data` of the runs."""
    scripts = "\n".join((HERE / name).read_text() for name in SCRIPTS)
    timelines = "\n".join(f'<script type="text/plain" id="timeline-{k}">{packed(timeline(run.report))}</script>'
                          for k, run in enumerate(runs))
    parts = {"title": html.escape(shown["network"]), "style": (HERE / "style.css").read_text(), "data": _json(shown),
             "timelines": timelines, "script": f'(() => {{\n"use strict";\n{scripts}\n}})();'}
    pieces = re.split(r"<!--(\w+)-->", (HERE / "page.html").read_text())
    return "".join(parts[piece] if k % 2 else piece for k, piece in enumerate(pieces))


def write(path: str | Path, runs: Sequence[Run], about: dict[str, str]) -> dict:
    """Writes the page beside and renames it. Arguments, result and errors as of `data`."""
    shown = data(runs, about)
    write_atomically(path, page(runs, shown))
    return shown


def _json(value: dict) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(value).replace("<", "\\u003c")
