"""Commands that measure: bench."""

import dataclasses
from typing import Annotated, Optional

import typer

from weft.isa import load_config

from .common import (ConfigOption, DeviceOption, JsonOption, MemoryOptions, TargetOption, ThreadsOption, app, device_options, out, print_json,
                     progress)


@app.command()
def bench(networks: Annotated[Optional[list[str]], typer.Argument(help="resnet18, resnet50, mobilenet_v1, mobilenet_v2 (all, without), or models")] = None,
          device: DeviceOption = "timing", config: ConfigOption = "default", target: TargetOption = None, threads: ThreadsOption = None,
          virtual_threads: Annotated[int, typer.Option(help="1 or 2 instruction streams woven into one")] = 2,
          latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None, as_json: JsonOption = False):
    """Measures whole networks at 224x224: cycles, utilisation, and the seconds that the device took, or with --target cpu the CPU."""
    from weft.bench.measure import measure
    from weft.bench.networks import NETWORKS
    from weft.tables import bench_table, losses_table

    machine, options, rows = load_config(config), device_options(device, latency, None), []
    for name in networks or NETWORKS:
        with progress(name) as told:
            rows.append(measure(name, device, machine, virtual_threads, told, target, threads, **options))
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        out.print(bench_table(rows))
        if clocked := {row.network: row.causes for row in rows if row.causes}:
            out.print(losses_table(clocked))
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)
