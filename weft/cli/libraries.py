"""Commands that write libraries for C: export, export-device."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from weft.isa import load_config

from .common import ConfigOption, JsonOption, app, out, print_json

OutputOption = Annotated[Path, typer.Option("-o", "--output", help=".so, shared, or .o, to be linked into a program")]
MachineOption = Annotated[Optional[str], typer.Option("--cpu", help="x86-64, aarch64, armv7 or riscv64")]
CompilerOption = Annotated[Optional[str], typer.Option("--cc", help="the C compiler; without: $CC or this machine's, for another CPU `zig cc`")]


@app.command()
def export(module: Path, output: OutputOption, cpu: MachineOption = None, cc: CompilerOption = None,
           prefix: Annotated[Optional[str], typer.Option(help="what names in C begin with; the file's name, without")] = None,
           as_json: JsonOption = False):
    """Writes a compiled network (.weft) as a library for C, and its header beside it."""
    import weft

    weft.export_library(module, output, cpu=cpu, cc=cc, prefix=prefix)
    _tell(output, as_json)


@app.command("export-device")
def export_device(output: OutputOption, config: ConfigOption = "default", cpu: MachineOption = None, cc: CompilerOption = None,
                  board: Annotated[bool, typer.Option("--board", help="instead the one of a board: registers and memory, any config")] = False,
                  as_json: JsonOption = False):
    """Writes the functional device as a library for C, and its headers beside it."""
    import weft

    if board:
        weft.export_board(output, cpu=cpu, cc=cc)
    else:
        weft.export_device(output, load_config(config), cpu=cpu, cc=cc)
    _tell(output, as_json)


def _tell(output: Path, as_json: bool):
    size = output.stat().st_size
    print_json({"library": str(output), "bytes": size}) if as_json else out.print(f"{output}: {size:,} bytes", highlight=False)
