"""Commands that draw: report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

import weft

from .common import (ConfigOption, DeviceOption, JsonOption, MemoryOptions, ThreadsOption, app, device_options,
                     load_array, out, print_json, progress)

if TYPE_CHECKING:
    from weft.report.page import Run

RUNS = 15  # of which a page of seconds shows the medians
Help = {"file": "a module (.weft); or a network, which is compiled with two virtual threads and with one",
        "output": "the page (.html), or the cycles by layer and cause as a picture (.svg)",
        "target": "of a network: accel,cpu or, for a page of seconds by layer, cpu",
        "input": ".npy, one for each input; random ones without, as cycles do not depend on data",
        "against": "a second module (.weft), shown beside the first"}


@app.command()
def report(file: Annotated[Path, typer.Argument(help=Help["file"])],
           output: Annotated[Path, typer.Option("-o", "--output", help=Help["output"])], device: DeviceOption = "rtl",
           inputs: Annotated[Optional[list[Path]], typer.Option("--input", help=Help["input"])] = None,
           against: Annotated[Optional[Path], typer.Option(help=Help["against"])] = None, config: ConfigOption = "default",
           target: Annotated[Optional[str], typer.Option(help=Help["target"])] = None, threads: ThreadsOption = None,
           latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None,
           stall_seed: Annotated[Optional[int], typer.Option(help=MemoryOptions["stall_seed"])] = None,
           as_json: JsonOption = False):
    """Draws where the time goes: one page, readable without a network, of cycles by layer, by cause and one by one, or where the
    accelerator does nothing of seconds by layer."""
    from weft.report import page, svg

    modules = _modules(file, against, config, target)
    if not modules[0][1].launches and modules[0][1].functions:
        return _seconds(modules[0][1], output, inputs, threads, as_json)
    runs, about = [], {}
    for label, module in modules:
        run, about = _run(label, module, device, inputs, device_options(device, latency, stall_seed))
        runs.append(run)
    shown = (svg if output.suffix == ".svg" else page).write(output, runs, about)
    if as_json:
        return print_json({"report": str(output), **shown})
    from weft.tables import causes_table, losses_table

    out.print(causes_table(shown))
    out.print(losses_table({run["label"]: run["losses"] for run in shown["runs"]}))
    out.print(f"{output}: {', '.join(run['label'] for run in shown['runs'])}", highlight=False, soft_wrap=True)


def _modules(file: Path, against: Path | None, config: str, target: str | None) -> list[tuple[str, weft.Module]]:
    """What to run, and what to call it: the first is the one that is shown where there is room for one only."""
    if file.suffix == ".weft":
        first = weft.load(file)
        if against is None:
            return [(_threads(first), first)]
        second = weft.load(against)
        names = [_threads(first), _threads(second)]
        return list(zip([str(file), str(against)] if names[0] == names[1] else names, [first, second]))
    if against is not None:
        other = weft.load(against)
        return [(_threads(made := _compile(file, config, 2, target)), made), (str(against), other)]
    return [(_threads(made), made) for made in (_compile(file, config, threads, target) for threads in (2, 1))]


def _compile(file: Path, config: str, threads: int, target: str | None) -> weft.Module:
    with progress("compile") as told:
        return weft.compile(file, config, target=target, virtual_threads=threads, progress=told)


def _seconds(module: weft.Module, output: Path, inputs: list[Path] | None, threads: int | None, as_json: bool) -> None:
    """The page of a network without the accelerator."""
    from weft.report import seconds
    from weft.runtime.executor import Executor
    from weft.runtime.team import team
    from weft.runtime.validate import random_inputs
    from weft.tables import seconds_table

    arrays = [load_array(path) for path in inputs] if inputs else random_inputs(module, seed=0)
    executor = Executor(module, None, threads=threads)
    reports = [executor.run(arrays, check=k == 0)[1] for k in range(RUNS)]
    shown = seconds.data(module, reports, team(threads).threads)
    seconds.write(output, shown)
    if as_json:
        return print_json({"report": str(output), **shown})
    out.print(seconds_table(reports[-1]))
    out.print(f"{output}: {module.name}, {1e3 * shown['seconds']:.3f} ms", highlight=False, soft_wrap=True)


def _threads(module: weft.Module) -> str:
    threads = module.options["virtual_threads"]
    return f"{threads} virtual thread" + ("s" if threads > 1 else "")


def _run(label: str, module: weft.Module, name: str, inputs: list[Path] | None,
         options: dict) -> "tuple[Run, dict[str, str]]":
    """One run, compared with the integer reference; and what to say of it in the headline."""
    from weft.report.page import Run
    from weft.runtime.device import open_device
    from weft.runtime.validate import random_inputs
    from weft.tables import arena_line

    arrays = [load_array(path) for path in inputs] if inputs else random_inputs(module, seed=0)
    device = open_device(name, module.config, module.memory_size, **options)
    try:
        with progress("run") as told:
            _, found = module.run(*arrays, device=device, trace=True, progress=told)
        timing = getattr(device, "timing", None)
    finally:
        device.close()
    about = {"device": f"device {name}", "input": ", ".join(map(str, inputs)) if inputs else "random input",
             "activations": f"activations: {arena_line(module)}"}
    if timing is not None:
        seed = options.get("stall_seed")
        about["memory"] = f"read latency {timing.latency} cycles" + ("" if seed is None else f", stalls of seed {seed}")
    return Run(label, module, found), about
