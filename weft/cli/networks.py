"""Commands that take a trained network: import, quantize, compile."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Optional

import typer

from weft.isa import load_config
from weft.isa.files import write_atomically
from weft.runtime.module import Module

from .common import ConfigOption, CpuOption, JsonOption, TargetOption, app, out, print_json, progress


@app.command()
def compile(model: Path, output: Annotated[Path, typer.Option("-o", "--output")], config: ConfigOption = "default",
            target: TargetOption = None, cpu: CpuOption = None,
            virtual_threads: Annotated[int, typer.Option(help="1 or 2 instruction streams woven into one")] = 2,
            print_after: Annotated[Optional[str], typer.Option(help="print the program after this pass; 'list' names them")] = None,
            as_json: JsonOption = False):
    """Compiles a trained network (ONNX or TFLite; int8 for the accelerator) to a module, and says what runs where."""
    from weft.compiler import pipeline

    if print_after == "list":
        return out.print("\n".join(pipeline.pass_names()), highlight=False)
    with progress("compile") as told:
        module = pipeline.compile(model, load_config(config), target=target, cpu=cpu, virtual_threads=virtual_threads, print_after=print_after,
                                  show=lambda text: out.print(text, highlight=False, markup=False), progress=told)
    module.save(output)
    instructions = sum(launch.insn_count for launch in module.launches)
    if as_json:
        return print_json({"module": str(output), "config": module.config.name, "macs": module.macs, "instructions": instructions,
                           "memory_size": module.memory_size, "options": module.options, "forms": list(module.code),
                           "gpu": [{"kernels": f.kernels, "launches": len(f.steps), "architecture": f.architecture, "accepted": f.accepted}
                                   for f in module.gpu_functions],
                           "operators": [{k: getattr(o, k) for k in ("name", "op", "where", "reason", "macs")} for o in module.operators]})
    from weft.tables import arena_line, placement_table

    out.print(placement_table(module))
    out.print(f"{output}: {module.macs:,} MACs, " + "; ".join(_contents(module, instructions)), highlight=False, soft_wrap=True)
    if module.launches:
        out.print(f"activations: {arena_line(module)}")


def _contents(module: Module, instructions: int) -> Iterator[str]:
    """What of a module is for the accelerator, what for the CPU, and what for a GPU."""
    if module.launches:
        yield f"{instructions:,} instructions, {module.memory_size:,} bytes of DRAM"
    if module.functions:
        size, arena = sum(map(len, next(iter(module.code.values())).values())), max(f.arena_size for f in module.functions)
        yield f"machine code for {', '.join(module.code)}, {size:,} bytes of the first; an arena of {arena:,} bytes"
    if module.gpu_functions:
        kernels, accepted = sum(f.kernels for f in module.gpu_functions), module.gpu_functions[0].accepted
        proved = f"accepted by ptxas for {', '.join(accepted)}" if accepted else "with no ptxas on PATH to prove it"
        yield f"PTX of {kernels} kernels for {module.gpu_functions[0].architecture} and later GPUs, {proved}"


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
    with progress("quantize") as told:
        made, report = quantizer.quantise(model, data, options, told)
    write_atomically(output, made.SerializeToString())
    if as_json:
        return print_json({"output": str(output), **report.to_dict()})
    from weft.tables import quantisation_table

    out.print(quantisation_table(report))
    out.print(f"{output}: {len(report.layers)} operators in int8; in real numbers: {', '.join(report.on_float) or 'none'}", highlight=False)


@app.command("import")
def import_(model: Path, config: ConfigOption = "default", target: TargetOption = None, as_json: JsonOption = False):
    """Reads a network and says what would run where, and why; compiles nothing."""
    from weft.compiler import pipeline

    placed = pipeline.place(model, load_config(config), target)
    if as_json:
        return print_json({"model": placed.name, "config": placed.config.name, "macs": placed.macs,
                           "inputs": [_tensor(placed, name) for name in placed.inputs],
                           "outputs": [_tensor(placed, name) for name in placed.outputs],
                           "operators": [{"name": o.name, "op": o.attrs.get("operator", o.op), "where": o.where, "reason": o.reason,
                                          "macs": o.macs, "shape": placed.tensors[o.outputs[0]].shape} for o in placed.operators]})
    from weft.tables import placement_table

    out.print(placement_table(placed))
    count = sum(o.where != "view" for o in placed.operators)
    for where, words in (("accel", "on the accelerator"), ("cpu", "on the CPU, compiled"), ("gpu", "on a GPU"), ("host", "on the host, by NumPy")):
        there = [o for o in placed.operators if o.where == where]
        if there or where == "accel":
            out.print(f"{len(there)} of {count} operators and {sum(o.macs for o in there):,} of {placed.macs:,} MACs {words}", highlight=False)


def _tensor(placed, name: str) -> dict:
    return {"name": name, **dataclasses.asdict(placed.tensors[name])}
