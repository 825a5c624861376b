"""The timeline of a run, small enough to travel within the page: slices of the modules, and a line for each instruction."""

import base64
import gzip
import json

import numpy as np

from weft.isa import Module
from weft.isa.asm import to_text
from weft.runtime.report import RunReport
from weft.runtime.stalls import CAUSES
from weft.runtime.trace import title


def timeline(report: RunReport) -> dict:
    """Columns of equal length in each part; cycles of later launches follow those of earlier ones, instructions likewise.

    instructions: layer (index of the module's operators), text and title (indices into `texts` and `titles`), began, done,
        bytes moved.
    slices: for each module `start` (ascending), `length`, `kind` (an index of `kinds`), `instruction`, `by` (-1: none).
    """
    texts: dict[str, int] = {}
    titles: dict[str, int] = {}
    instructions: dict[str, list] = {name: [] for name in ("layer", "text", "title", "began", "done", "bytes")}
    slices = {m.name.lower(): {name: [] for name in ("start", "length", "kind", "instruction", "by")} for m in Module}
    for account in report.accounts:
        first = len(instructions["layer"])
        for i, layer, job, event in zip(account.instructions, account.launch.layers, account.works, account.report.events):
            instructions["layer"].append(account.launch.operators[layer])
            instructions["text"].append(texts.setdefault(to_text(i), len(texts)))
            instructions["title"].append(titles.setdefault(title(i), len(titles)))
            instructions["began"].append(account.began + int(event["start"]))
            instructions["done"].append(account.began + int(event["end"]))
            instructions["bytes"].append(job.read + job.written)
        for m, rows in _merged(account.segments).items():
            columns = slices[m.name.lower()]
            columns["start"] += (rows["start"] + account.began).tolist()
            columns["length"] += (rows["end"] - rows["start"]).tolist()
            columns["kind"] += rows["cause"].tolist()
            columns["instruction"] += np.where(rows["instruction"] < 0, -1, rows["instruction"] + first).tolist()
            columns["by"] += np.where(rows["by"] < 0, -1, rows["by"] + first).tolist()
    return {"kinds": list(CAUSES), "texts": list(texts), "titles": list(titles), "instructions": instructions,
            "slices": slices}


def _merged(segments: np.ndarray) -> dict[Module, np.ndarray]:
    return {m: segments[segments["module"] == m] for m in Module}


def packed(value: dict) -> str:
    """As gzipped JSON in base64; the same text for the same value."""
    content = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def unpacked(text: str) -> dict:
    """The value of `packed`."""
    return json.loads(gzip.decompress(base64.b64decode(text)))
