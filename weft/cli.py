"""The command `weft`: every command that reports takes --json; an exit status other than 0 means failed or refused."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import weft
from weft.isa import PRESETS, RawProgram, WeftError, decode, load_config
from weft.isa.files import write_atomically

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Co-design toolkit for a VTA-class tensor accelerator.")
out, err = Console(), Console(stderr=True)

ConfigOption = Annotated[str, typer.Option("--config", help=f"{', '.join(PRESETS)}, or a TOML file")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
DeviceOption = Annotated[str, typer.Option("--device", help="functional or rtl")]
MemoryOptions = {"latency": "read latency in cycles", "stall_seed": "stall every channel at random, from this seed"}


def _print_json(value):
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err,
                    transient=True, disable=not err.is_terminal)


def _device_options(device: str, latency: int | None, stall_seed: int | None) -> dict:
    given = {k: v for k, v in (("latency", latency), ("stall_seed", stall_seed)) if v is not None}
    if given and device == "functional":
        raise WeftError("device 'functional'", "it has no clock, so no DRAM timing", ", ".join(given), "--device rtl")
    return given


@app.command()
def compile(model: Path, output: Annotated[Path, typer.Option("-o", "--output")], config: ConfigOption = "default",
            virtual_threads: Annotated[int, typer.Option(help="1 or 2 instruction streams woven into one")] = 2,
            print_after: Annotated[Optional[str], typer.Option(help="print the program after this pass; 'list' names them")] = None,
            as_json: JsonOption = False):
    """Compiles a trained network (ONNX QDQ or TFLite, int8) to a module, and says what runs where."""
    from weft.compiler import pipeline

    if print_after == "list":
        return out.print("\n".join(pipeline.pass_names()), highlight=False)
    with _progress() as bar:
        task = bar.add_task("compile", total=None)
        module = pipeline.compile(model, load_config(config), virtual_threads=virtual_threads, print_after=print_after,
                                  show=lambda text: out.print(text, highlight=False, markup=False),
                                  progress=lambda done, total, name: bar.update(task, completed=done, total=total, description=name or "compile"))
    module.save(output)
    instructions = sum(launch.insn_count for launch in module.launches)
    if as_json:
        return _print_json({"module": str(output), "config": module.config.name, "macs": module.macs, "instructions": instructions,
                            "memory_size": module.memory_size, "options": module.options,
                            "operators": [{k: getattr(o, k) for k in ("name", "op", "where", "reason", "macs")} for o in module.operators]})
    from weft.tables import placement_table

    out.print(placement_table(module))
    out.print(f"{output}: {module.macs:,} MACs, {instructions:,} instructions, {module.memory_size:,} bytes of DRAM")


@app.command()
def quantize(model: Path, data: Annotated[Path, typer.Option(help=".npz with an array named as the input, or folder of .npy; samples along axis 0")],
             output: Annotated[Path, typer.Option("-o", "--output", help="QDQ model (.onnx)")],
             ranges: Annotated[str, typer.Option(help="minmax, percentile or mse")] = "minmax",
             percentile: Annotated[float, typer.Option(help="for --ranges percentile")] = 99.99,
             bias_correction: Annotated[bool, typer.Option(help="take the mean error of each channel off its bias")] = True,
             equalise: Annotated[bool, typer.Option("--equalise", help="bring channels between layers to one size")] = False,
             samples: Annotated[Optional[int], typer.Option(help="use the first of them only")] = None, as_json: JsonOption = False):
    """Quantises a float network (ONNX or TFLite) to int8 QDQ ONNX, and reports what each layer loses."""
    from weft.compiler import quantizer

    options = quantizer.Options(ranges, percentile, bias_correction, equalise, samples)
    with _progress() as bar:
        task = bar.add_task("quantize", total=None)
        made, report = quantizer.quantise(model, data, options, lambda done, total, title: bar.update(
            task, completed=done, total=total, description=title))
    write_atomically(output, made.SerializeToString())
    if as_json:
        return _print_json({"output": str(output), **report.to_dict()})
    from weft.tables import quantisation_table

    out.print(quantisation_table(report))
    out.print(f"{output}: {len(report.layers)} operators in int8; in real numbers: {', '.join(report.on_float) or 'none'}", highlight=False)


@app.command("import")
def import_(model: Path, config: ConfigOption = "default", as_json: JsonOption = False):
    """Reads a network and says what would run where, and why; compiles nothing."""
    from weft.compiler import pipeline

    placed = pipeline.place(model, load_config(config))
    if as_json:
        return _print_json({"model": placed.name, "config": placed.config.name, "macs": placed.macs,
                            "inputs": [_tensor(placed, name) for name in placed.inputs],
                            "outputs": [_tensor(placed, name) for name in placed.outputs],
                            "operators": [{"name": o.name, "op": o.attrs.get("operator", o.op), "where": o.where, "reason": o.reason,
                                           "macs": o.macs, "shape": placed.tensors[o.outputs[0]].shape} for o in placed.operators]})
    from weft.tables import placement_table

    out.print(placement_table(placed))
    accelerated = [o for o in placed.operators if o.where == "accel"]
    out.print(f"{len(accelerated)} of {len(placed.operators)} operators and {sum(o.macs for o in accelerated):,} of {placed.macs:,} MACs "
              "on the accelerator", highlight=False)


def _tensor(placed, name: str) -> dict:
    return {"name": name, **dataclasses.asdict(placed.tensors[name])}


@app.command()
def run(module: Path, inputs: list[Path], device: DeviceOption = "functional",
        trace: Annotated[Optional[Path], typer.Option(help="write the timeline here (Chrome JSON, for Perfetto)")] = None,
        output: Annotated[Optional[Path], typer.Option("-o", "--output", help="write the outputs here (.npz)")] = None,
        latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None,
        stall_seed: Annotated[Optional[int], typer.Option(help=MemoryOptions["stall_seed"])] = None, as_json: JsonOption = False):
    """Runs a module on inputs (.npy), compares with the integer reference and reports by layer."""
    compiled = weft.load(module)
    arrays = [_load_array(path) for path in inputs]
    with _progress() as bar:
        task = bar.add_task("run", total=None)
        outputs, report = compiled.run(*arrays, device=device, trace=trace is not None,
                                       progress=lambda done, total, name: bar.update(task, completed=done, total=total, description=name or "run"),
                                       **_device_options(device, latency, stall_seed))
    if trace:
        from weft.runtime.trace import write

        write(trace, compiled, report)
    if output:
        write_atomically(output, lambda file: np.savez(file, **outputs))
    if as_json:
        _print_json(report.to_dict(outputs))
    else:
        from weft.tables import run_table

        out.print(run_table(report))
        for name, value in outputs.items():
            out.print(f"{name} {list(value.shape)} {value.dtype}: {np.array2string(value, threshold=20)}", highlight=False)
        out.print("bit-exact against the integer reference: " + ("yes" if report.bit_exact else "[red]NO"))
    if not report.bit_exact:
        raise typer.Exit(1)


def _load_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WeftError(f"input {path}", "an input is a NumPy .npy file", f"{type(error).__name__}: {error}", "np.save") from None


@app.command()
def verilog(output: Annotated[Path, typer.Option("-o", "--output", help="folder")], config: ConfigOption = "default", as_json: JsonOption = False):
    """Writes the accelerator's Verilog and its file list."""
    from weft.hw.verilog import write

    with err.status("amaranth to Verilog"):
        files = [str(f) for f in write(load_config(config), output)]
    _print_json({"files": files}) if as_json else out.print("\n".join(files), highlight=False)


@app.command()
def conform(folder: Path, device: DeviceOption = "functional",
            latency: Annotated[Optional[int], typer.Option(help=MemoryOptions["latency"])] = None,
            stall_seed: Annotated[Optional[int], typer.Option(help=MemoryOptions["stall_seed"])] = None, as_json: JsonOption = False):
    """Runs every raw program of a folder and compares every byte of DRAM."""
    from weft.runtime.device import open_device
    from weft.sim.conform import conform, load_folder
    from weft.tables import conform_table

    options = _device_options(device, latency, stall_seed)
    programs = list(load_folder(folder))
    with _progress() as bar:
        task = bar.add_task(device, total=len(programs))
        report = conform(programs, lambda c, size: open_device(device, c, size, **options), lambda name: bar.advance(task))
    if as_json:
        _print_json({**dataclasses.asdict(report), "cycles_per_second": report.cycles_per_second, "device": device,
                     "failures": [{"name": n, "difference": d} for n, d in report.failures]})
    else:
        out.print(conform_table(report, device))
        for name, difference in report.failures:
            out.print(f"{name}: {difference}", highlight=False, markup=False, style="red")
    if report.failed:
        raise typer.Exit(1)


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
        _print_json({"errors": errors, "instructions": instructions, "findings": [dataclasses.asdict(f) for f in findings]})
    else:
        for finding in findings:
            out.print(str(finding), highlight=False, style="red" if finding.level == "error" else None)
        out.print(f"{instructions:,} instructions, {errors} errors, {len(findings) - errors} notes")
    if errors:
        raise typer.Exit(1)


@app.command()
def config(name: Annotated[Optional[str], typer.Argument(help="a preset or a TOML file")] = None, as_json: JsonOption = False):
    """The derived sizes and field widths of a configuration; without NAME: the presets' names."""
    from weft.isa.manual import field_rows, size_rows
    from weft.tables import config_tables

    if name is None:
        return _print_json(list(PRESETS)) if as_json else out.print("\n".join(PRESETS), highlight=False)
    machine = load_config(name)
    if as_json:
        return _print_json({**machine.to_dict(), "fingerprint": machine.fingerprint,
                            "sizes": {m: {"element_bytes": e, "elements": d, "bytes": b} for m, e, d, b in size_rows(machine)},
                            "fields": [dict(zip(("instruction", "bits", "field"), r)) for r in field_rows(machine)]})
    for table in config_tables(machine):
        out.print(table)


def main():
    """Entry point: what weft refuses is one message and status 1, never a traceback."""
    try:
        app()
    except WeftError as error:
        err.print("weft: refused:", style="red", end=" ")
        err.print(f"{error.subject}: {error.rule}, but found {error.found}\ntry: {error.hint}", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
    except OSError as error:
        err.print(f"weft: {error}", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
