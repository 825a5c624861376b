"""The trace that all devices write, as Chrome's JSON trace format, which Perfetto opens: a track a module."""

import json
from pathlib import Path

from weft.isa import Module, decode
from weft.isa.asm import to_text
from weft.isa.files import write_atomically

from . import module as compiled
from .report import RunReport


def chrome_events(module: compiled.Module, report: RunReport) -> list[dict]:
    """Trace events of a run: one a instruction, with layer and text. A microsecond of the trace is a cycle.

    Launches follow one another; time on the host is left out. Needs a run with `trace=True` where the device has no clock.
    """
    events = [{"ph": "M", "name": "thread_name", "pid": 0, "tid": m.value, "args": {"name": m.name.lower()}} for m in Module]
    offset = 0
    for launch, launch_report in report.launches:
        if launch_report.events is None:
            continue
        for instruction, layer, event in zip(decode(module.stream(launch), module.config), launch.layers, launch_report.events):
            text = to_text(instruction)
            start, end = int(event["start"]), int(event["end"])
            events.append({"ph": "X", "name": " ".join(text.split()[:2]), "pid": 0, "tid": int(event["module"]), "ts": offset + start,
                           "dur": max(end - start, 0), "args": {"instruction": text,
                                                                "layer": module.operators[launch.operators[layer]].name}})
        offset += int(launch_report.cycles or launch_report.events["end"].max(initial=0))
    return events


def write(path: str | Path, module: compiled.Module, report: RunReport):
    """The trace file of a run."""
    write_atomically(path, json.dumps({"traceEvents": chrome_events(module, report), "displayTimeUnit": "ns",
                                       "otherData": {"network": module.name, "config": module.config.name, "device": report.device}}))
