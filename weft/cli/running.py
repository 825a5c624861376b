"""Commands that run something on a device: run, conform."""

import dataclasses
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer

import weft
from weft.isa import WeftError
from weft.isa.files import write_atomically
from weft.runtime.report import RunReport

from .common import (WITHOUT_CLOCK, DeviceOption, JsonOption, MemoryOptions, ThreadsOption, app, device_options, load_array, out,
                     print_json, progress, progress_bar)


@app.command()
def run(module: Path, inputs: list[Path], device: DeviceOption = "functional",
        threads: ThreadsOption = None,
        trace: Annotated[Optional[Path], typer.Option(help="write the timeline here (Chrome JSON, for Perfetto)")] = None,
        output: Annotated[Optional[Path], typer.Option("-o", "--output", help="write the outputs here (.npz)")] = None,
        latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None,
        stall_seed: Annotated[Optional[int], typer.Option(help=MemoryOptions["stall_seed"])] = None, as_json: JsonOption = False):
    """Runs a module on inputs (.npy), compares with the reference and reports by layer."""
    compiled = weft.load(module)
    arrays = [load_array(path) for path in inputs]
    with progress("run") as told:
        outputs, report = compiled.run(*arrays, device=device, trace=trace is not None, progress=told, threads=threads,
                                       **device_options(device, latency, stall_seed))
    if trace:
        from weft.runtime.trace import write

        write(trace, compiled, report)
    if output:
        write_atomically(output, lambda file: np.savez(file, **outputs))
    if as_json:
        print_json(report.to_dict(outputs))
    else:
        from weft.tables import run_table, seconds_table

        out.print((run_table if compiled.launches else seconds_table)(report))
        for name, value in outputs.items():
            out.print(f"{name} {list(value.shape)} {value.dtype}: {np.array2string(value, threshold=20)}", highlight=False)
        out.print(_agreement(report))
    if not report.agrees:
        raise typer.Exit(1)


def _agreement(report: RunReport) -> str:
    """How the outputs compare with the reference."""
    if report.bit_exact or not report.agrees:
        return "bit-exact against the integer reference: " + ("yes" if report.bit_exact else "[red]NO")
    apart = "" if report.difference is None else f"; real numbers differ by {report.difference:.1e} of the largest at most"
    return f"agrees with the reference{apart}"


@app.command()
def conform(programs: Annotated[Path, typer.Argument(help="a folder of raw programs (.npz), or with --against a module")],
            device: DeviceOption = "functional",
            against: Annotated[Optional[str], typer.Option(help="another device with a clock: every start and end is compared with its own")] = None,
            latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None,
            stall_seed: Annotated[Optional[int], typer.Option(help=MemoryOptions["stall_seed"])] = None, as_json: JsonOption = False):
    """Runs every raw program of a folder and compares every byte of DRAM, or two devices cycle by cycle."""
    from weft.runtime.device import open_device
    from weft.sim.conform import conform, load_folder, load_module
    from weft.tables import conform_table

    clockless = next((d for d in (device, against) if d in WITHOUT_CLOCK), None)
    if against and clockless:
        raise WeftError(f"device '{clockless}'", "it has no clock, so it has no cycles to compare", f"--device {device} --against {against}",
                        "--device timing --against rtl")
    options = device_options(device, latency, stall_seed)
    make = lambda name: lambda config, size: open_device(name, config, size, **options)
    found = list(load_module(weft.load(programs)) if against and programs.is_file() else load_folder(programs))
    with progress_bar() as bar:
        task = bar.add_task(device, total=len(found))
        report = conform(found, make(device), lambda name: bar.advance(task), make(against) if against else None)
    if as_json:
        print_json({**dataclasses.asdict(report), "cycles_per_second": report.cycles_per_second, "device": device, "against": against,
                    "failures": [{"name": n, "difference": d} for n, d in report.failures]})
    else:
        out.print(conform_table(report, device if against is None else f"{device} against {against}"))
        if against:
            out.print(f"{report.instructions:,} instructions start and end in the same cycles")
        for name, difference in report.failures:
            out.print(f"{name}: {difference}", highlight=False, markup=False, style="red")
    if report.failed:
        raise typer.Exit(1)
