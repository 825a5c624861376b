"""Commands that draw: report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

import weft

from .common import ConfigOption, DeviceOption, JsonOption, MemoryOptions, app, device_options, load_array, out, print_json, progress_bar

if TYPE_CHECKING:
    from weft.report.page import Run


@app.command()
def report(file: Annotated[Path, typer.Argument(help="a module (.weft), or a network, which is compiled with two virtual threads and with one")],
           output: Annotated[Path, typer.Option("-o", "--output", help="the page (.html), or cycles by layer and cause as a picture (.svg)")], device: DeviceOption = "rtl",
           inputs: Annotated[Optional[list[Path]], typer.Option("--input", help=".npy, one for each input; random without, as cycles do not depend on data")] = None,
           against: Annotated[Optional[Path], typer.Option(help="a second module (.weft), shown beside the first")] = None,
           config: ConfigOption = "default", latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None,
           stall_seed: Annotated[Optional[int], typer.Option(help=MemoryOptions["stall_seed"])] = None, as_json: JsonOption = False):
    """Draws where the time goes: one page, readable without a network, of cycles by layer, by cause and instruction by instruction."""
    from weft.report import page, svg

    runs, about = [], {}
    for label, module in _modules(file, against, config):
        run, about = _run(label, module, device, inputs, device_options(device, latency, stall_seed))
        runs.append(run)
    shown = (svg if output.suffix == ".svg" else page).write(output, runs, about)
    if as_json:
        return print_json({"report": str(output), **shown})
    from weft.tables import causes_table

    out.print(causes_table(shown))
    out.print(f"{output}: {', '.join(run['label'] for run in shown['runs'])}", highlight=False, soft_wrap=True)


def _modules(file: Path, against: Path | None, config: str) -> list[tuple[str, weft.Module]]:
    """What to run, and what to call it: the first is the one that is shown where there is room for one only."""
    if file.suffix == ".weft":
        modules = [weft.load(path) for path in (file, against) if path]
        labels = [_threads(module) for module in modules]
        return list(zip([str(file), str(against)] if against and labels[0] == labels[1] else labels, modules))
    made = []
    for threads in (2, 1):
        with progress_bar() as bar:
            task = bar.add_task("compile", total=None)
            module = weft.compile(file, config=config, virtual_threads=threads,
                                  progress=lambda done, total, name: bar.update(task, completed=done, total=total, description=name or "compile"))
        made.append((_threads(module), module))
    return made if against is None else [made[0], (str(against), weft.load(against))]


def _threads(module: weft.Module) -> str:
    threads = module.options["virtual_threads"]
    return f"{threads} virtual thread" + ("s" if threads > 1 else "")


def _run(label: str, module: weft.Module, name: str, inputs: list[Path] | None, options: dict) -> "tuple[Run, dict[str, str]]":
    """One run, compared with the integer reference; and what to say of it in the headline."""
    from weft.report.page import Run
    from weft.runtime.device import open_device
    from weft.runtime.validate import random_inputs

    arrays = [load_array(path) for path in inputs] if inputs else random_inputs(module, seed=0)
    device = open_device(name, module.config, module.memory_size, **options)
    try:
        with progress_bar() as bar:
            task = bar.add_task("run", total=None)
            _, found = module.run(*arrays, device=device, trace=True,
                                  progress=lambda done, total, title: bar.update(task, completed=done, total=total, description=title or "run"))
        timing = getattr(device, "timing", None)
    finally:
        device.close()
    about = {"device": f"device {name}", "input": ", ".join(map(str, inputs)) if inputs else "random input"}
    if timing is not None:
        about["memory"] = f"read latency {timing.latency} cycles" + ("" if options.get("stall_seed") is None else f", stalls of seed {options['stall_seed']}")
    return Run(label, module, found), about
