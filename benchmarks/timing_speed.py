"""The timing model against the RTL device: `python -m benchmarks.timing_speed [NETWORK...] [--latency N] [--json]`.

Both run every launch of a network on the memory as it is before the first input; cycles do not depend on what is computed.
"""

import argparse
import json

from rich.console import Console
from rich.table import Table

from weft.bench import networks
from weft.compiler.pipeline import compile
from weft.isa import DEFAULT
from weft.runtime.device import Device, open_device
from weft.runtime.module import Module

RUNS = 3


def launch(module: Module, device: Device) -> list:
    """Reports of all launches, with events."""
    device.write(0, module.image)
    return [device.launch(each.insn_address, each.insn_count, trace=True) for each in module.launches]


def measure(name: str, latency: int = 16) -> dict:
    """cycles, instructions, those that start or end in another cycle than on RTL, seconds of either, and their ratio."""
    module = compile(networks.load(name), DEFAULT)
    rtl = open_device("rtl", DEFAULT, module.memory_size, latency=latency)
    expected = launch(module, rtl)
    rtl.close()
    model = open_device("timing", DEFAULT, module.memory_size, latency=latency, outputs=False)
    reports = [launch(module, model) for _ in range(RUNS + 1)][1:]  # the first one decodes, and may compile
    cycles, rtl_seconds = sum(r.cycles for r in expected), sum(r.counters["seconds"] for r in expected)
    seconds = min(sum(r.counters["model_seconds"] for r in run) for run in reports)
    differ = sum(int(((mine.events["start"] != its.events["start"]) | (mine.events["end"] != its.events["end"])).sum())
                 for mine, its in zip(reports[0], expected))
    return {"network": name, "latency": latency, "cycles": cycles, "instructions": sum(len(r.events) for r in expected),
            "differ": differ, "rtl_seconds": rtl_seconds, "model_seconds": seconds, "ratio": rtl_seconds / seconds}


def table(rows: list[dict]) -> Table:
    """A row a network."""
    shown = Table(title=f"timing model against RTL, read latency {rows[0]['latency']}", title_justify="left")
    for column in ("network", "cycles", "instructions", "that differ", "RTL s", "RTL M cycles/s", "model s", "model M cycles/s",
                   "ratio"):
        shown.add_column(column, justify="left" if column == "network" else "right")
    for row in rows:
        shown.add_row(row["network"], f"{row['cycles']:,}", f"{row['instructions']:,}", str(row["differ"]),
                      f"{row['rtl_seconds']:.2f}", f"{row['cycles'] / row['rtl_seconds'] / 1e6:.2f}", f"{row['model_seconds']:.4f}",
                      f"{row['cycles'] / row['model_seconds'] / 1e6:.0f}", f"{row['ratio']:.0f}")
    return shown


def main():
    parser = argparse.ArgumentParser(description="The timing model's speed, and that it is right.")
    parser.add_argument("networks", nargs="*", default=["resnet18"])
    parser.add_argument("--latency", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(name, options.latency) for name in options.networks]
    print(json.dumps(rows, indent=1)) if options.json else Console(width=140).print(table(rows))


if __name__ == "__main__":
    main()
