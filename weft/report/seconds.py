"""The page of a network that runs without the accelerator: seconds by layer, in a table with bars."""

import html
import statistics
from collections.abc import Sequence
from pathlib import Path

from weft.isa import WeftError
from weft.isa.files import write_atomically
from weft.runtime.module import Module
from weft.runtime.report import RunReport

HERE = Path(__file__).parent
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{network} · weft report</title>
<style>
{style}
meter {{ width: 100%; min-width: 8rem; }}
td.number {{ text-align: right; white-space: nowrap; }}
</style>
</head>
<body>
<header>
  <p class="eyebrow">weft report</p>
  <h1>{network}</h1>
  <p id="about">{about}</p>
  <dl id="headline">{headline}</dl>
</header>
<main>
  <section aria-labelledby="layers-title">
    <h2 id="layers-title">Layers</h2>
    <p class="hint">Medians of {runs} runs. A layer on the CPU has the time from one barrier of the threads to the next.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="layers-title"><table>
    <thead><tr><th>layer</th><th>operator</th><th>shape</th><th>MACs</th><th>ms</th><th>GMAC/s</th><th>share</th><th></th>
    </tr></thead>
    <tbody>
{rows}
    </tbody></table></div>
  </section>
</main>
</body>
</html>
"""


def data(module: Module, reports: Sequence[RunReport], threads: int) -> dict:
    """What the page shows, for JSON: medians of the runs' seconds, of the whole and of each layer.

    Raises
    ------
    WeftError: for a module with launches.
    """
    if module.launches:
        raise WeftError(f"report of '{module.name}'", "seconds by layer are for a network without the accelerator",
                        f"{len(module.launches)} launches", "the report of its cycles, or `weft compile --target cpu`")
    layers = []
    for each in zip(*(report.layers for report in reports), strict=True):
        taken = [layer.seconds for layer in each if layer.seconds is not None]
        layers.append({"name": each[0].name, "op": each[0].op, "where": each[0].where, "shape": list(each[0].shape),
                       "macs": each[0].macs, "seconds": statistics.median(taken) if taken else None})
    return {"network": module.name, "device": reports[0].device, "threads": threads, "runs": len(reports),
            "macs": module.macs, "seconds": statistics.median(report.seconds for report in reports), "layers": layers,
            "agrees": reports[0].agrees, "bit_exact": reports[0].bit_exact}


def write(path: str | Path, shown: dict) -> None:
    """Writes the page of `data` beside and renames it. WeftError for another kind of file than .html."""
    if Path(path).suffix != ".html":
        raise WeftError(f"report {path}", "seconds by layer are drawn as a page", f"'{Path(path).suffix}'",
                        "a file name that ends in .html")
    write_atomically(path, page(shown))


def page(shown: dict) -> str:
    """The page's text."""
    whole = sum(layer["seconds"] or 0 for layer in shown["layers"])
    threads = f"{shown['threads']} thread" + ("s" if shown["threads"] > 1 else "")
    words = {None: "not compared", False: "differs from the reference", True: "agrees with the reference"}
    agreement = "every byte equal to the reference" if shown["bit_exact"] else words[shown["agrees"]]
    facts = {"milliseconds": f"{1e3 * shown['seconds']:.3f}", "MACs": f"{shown['macs']:,}",
             "GMAC/s": f"{shown['macs'] / shown['seconds'] / 1e9:.1f}", "layers": str(len(shown["layers"]))}
    return _PAGE.format(network=html.escape(shown["network"]), style=(HERE / "style.css").read_text(), runs=shown["runs"],
                        about=html.escape(f"on the CPU, {threads}; {agreement}"),
                        headline="".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in facts.items()),
                        rows="\n".join(_row(layer, whole) for layer in shown["layers"]))


def _row(layer: dict, whole: float) -> str:
    seconds, kind = layer["seconds"], layer["op"] if layer["where"] == "cpu" else f"{layer['op']}, {layer['where']}"
    share = seconds / whole if seconds is not None and whole else None
    cells = [f"{layer['macs']:,}" if layer["macs"] else "", "" if seconds is None else f"{1e3 * seconds:.3f}",
             f"{layer['macs'] / seconds / 1e9:.1f}" if layer["macs"] and seconds else "",
             "" if share is None else f"{share:.1%}"]
    words = "".join(f"<td>{html.escape(text)}</td>" for text in (layer["name"], kind, "x".join(map(str, layer["shape"]))))
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    bar = "" if share is None else f'<meter value="{share:.4f}" aria-label="share of the time">{share:.1%}</meter>'
    return f"    <tr>{words}{numbers}<td>{bar}</td></tr>"
