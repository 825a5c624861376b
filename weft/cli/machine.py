"""Commands on the machine itself: config, verilog, fmax."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from weft.isa import PRESETS, load_config

from .common import ConfigOption, JsonOption, app, err, out, print_json


@app.command()
def config(name: Annotated[Optional[str], typer.Argument(help="a preset or a TOML file")] = None, as_json: JsonOption = False):
    """The derived sizes and field widths of a configuration; without NAME: the presets' names."""
    from weft.isa.manual import field_rows, size_rows
    from weft.tables import config_tables

    if name is None:
        return print_json(list(PRESETS)) if as_json else out.print("\n".join(PRESETS), highlight=False)
    machine = load_config(name)
    if as_json:
        return print_json({**machine.to_dict(), "fingerprint": machine.fingerprint,
                           "sizes": {m: {"element_bytes": e, "elements": d, "bytes": b} for m, e, d, b in size_rows(machine)},
                           "fields": [dict(zip(("instruction", "bits", "field"), r)) for r in field_rows(machine)]})
    for table in config_tables(machine):
        out.print(table)


@app.command()
def verilog(output: Annotated[Path, typer.Option("-o", "--output", help="folder")], config: ConfigOption = "default", as_json: JsonOption = False):
    """Writes the accelerator's Verilog and its file list."""
    from weft.hw.verilog import write

    with err.status("amaranth to Verilog"):
        files = [str(f) for f in write(load_config(config), output)]
    print_json({"files": files}) if as_json else out.print("\n".join(files), highlight=False)


@app.command()
def fmax(output: Annotated[Path, typer.Option("-o", "--output", help="folder of netlist, report and logs")] = Path("build/fmax"),
         config: ConfigOption = "1x8x8", part: Annotated[str, typer.Option(help="accelerator, or core: the GEMM core with its memories")] = "accelerator",
         speed_grade: Annotated[int, typer.Option(help="of the FPGA: 6, 7 or 8, the fastest")] = 6,
         seed: Annotated[int, typer.Option(help="of the placement")] = 1,
         at_least: Annotated[Optional[float], typer.Option(help="MHz; status 1 below it")] = None, as_json: JsonOption = False):
    """Places and routes the accelerator on an ECP5-85F: its highest clock, the path that sets it, and resources. Takes a quarter of an hour."""
    from weft.fpga.ecp5 import measure
    from weft.tables import fmax_tables

    with err.status("fmax") as status:
        report = measure(load_config(config), output, part=part, speed_grade=speed_grade, seed=seed,
                         told=lambda what: status.update(what, spinner_style="green"))
    if as_json:
        print_json(report.to_dict())
    else:
        for table in fmax_tables(report):
            out.print(table)
    if at_least is not None and report.fmax_mhz < at_least:
        err.print(f"weft: {report.fmax_mhz:.1f} MHz, and {at_least:g} were asked for", style="red", highlight=False)
        raise typer.Exit(1)
