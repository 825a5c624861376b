"""Commands on instruction streams: asm, disasm, check."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

import weft
from weft.isa import RawProgram, WeftError, decode, load_config
from weft.isa.files import write_atomically

from .common import ConfigOption, JsonOption, app, err, out, print_json


@app.command()
def asm(source: Path, output: Annotated[Path, typer.Option("-o", "--output", help="raw program (.npz)")],
        config: Annotated[Optional[str], typer.Option("--config", help="instead of the text's .config")] = None):
    """Text to a raw program."""
    from weft.isa.asm import assemble

    try:
        text = source.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WeftError(f"assembly {source}", "a source is a text file", str(error), "`weft disasm` to see one") from None
    assemble(text, str(source), load_config(config) if config else None).save(output)


def _program(path: Path, config: str) -> RawProgram:
    """A raw program, or a module's first launch as one, from a file of either kind."""
    if path.suffix == ".npz":
        return RawProgram.load(path, load_config(config))
    module = weft.load(path)
    if len(module.launches) != 1:
        raise WeftError(f"module {path}", "it must have one launch to be shown as one program", f"{len(module.launches)}", "`weft check`")
    return _launch_program(module, module.launches[0])


def _launch_program(module: weft.Module, launch) -> RawProgram:
    return RawProgram(module.name, module.config, module.stream(launch), launch.insn_address, 0, module.memory())


@app.command()
def disasm(program: Path, output: Annotated[Optional[Path], typer.Option("-o", "--output")] = None, config: ConfigOption = "default"):
    """A raw program (.npz) or a module to text."""
    from weft.isa.asm import disassemble

    text = disassemble(_program(program, config))
    write_atomically(output, text) if output else sys.stdout.write(text)


@app.command()
def check(program: Path, config: ConfigOption = "default", as_json: JsonOption = False):
    """Checks a module or a raw program: tokens, deadlocks, races, addresses; of a module also what it computes."""
    if program.suffix == ".npz":
        from weft.isa.check import check

        raw = RawProgram.load(program, load_config(config))
        findings, instructions = check(decode(raw.insns, raw.config), raw.config, raw.dram_before, raw.dram_base), len(raw.insns)
    else:
        from weft.runtime.validate import validate

        module = weft.load(program)
        with err.status("checks, and one random input on the functional device"):
            findings, instructions = validate(module), sum(launch.insn_count for launch in module.launches)
    errors = sum(f.level == "error" for f in findings)
    if as_json:
        print_json({"errors": errors, "instructions": instructions, "findings": [dataclasses.asdict(f) for f in findings]})
    else:
        for finding in findings:
            out.print(str(finding), highlight=False, style="red" if finding.level == "error" else None)
        out.print(f"{instructions:,} instructions, {errors} errors, {len(findings) - errors} notes")
    if errors:
        raise typer.Exit(1)
