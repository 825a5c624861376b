"""Layers and networks on a GPU beside PyTorch's: `python -m benchmarks.gpu_layers [NAME...] [--json]`.

weft in int8 and in float32 (of a layer its convolution alone, requantisation included), PyTorch (cuDNN, channels last) in float16 and
in float32, on the same GPU in one run. Times are the GPU's own, between two marks around RUNS runs whose inputs lie on it already; the
median of ROUNDS counts. Every output of weft is held against the reference first. Where there is no GPU it says so, and measures
nothing.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.cpu_networks import LAYERS, layer
from weft.bench import networks
from weft.compiler import frontends
from weft.compiler.pipeline import compile
from weft.isa import DEFAULT, WeftError
from weft.runtime import gpu
from weft.runtime.executor import Executor
from weft.runtime.module import Module

NETWORKS = ("resnet18", "mobilenet_v2")
ROUNDS, RUNS = 9, 20


def compiled(name: str, real: bool) -> Module:
    model = layer(name, real) if name in LAYERS else networks.build(name, real=real).SerializeToString()
    return compile(frontends.onnx.load(model, name), DEFAULT, target="gpu")


def weft_seconds(module: Module, x: np.ndarray, products: bool) -> float:
    """Of one run of a module on the GPU, or of its products alone: what brings a single layer's numbers into int8 and back is
    nobody's work in a network. WeftError where its output is not the reference's."""
    executor = Executor(module, None)
    _, report = executor.run([x])
    if not report.agrees:
        raise WeftError(f"module '{module.name}'", "its output must agree with the reference", "another one", "to report this")
    (running,) = executor.gpu_function_of.values()
    opened, function = running.gpu, running.function
    only = {k for k, index in enumerate(function.operators) if module.operators[index].macs} if products else None

    def once() -> float:
        first = opened.event()
        for _ in range(RUNS):
            running.launch(only=only)
        last = opened.event()
        opened.wait()
        seconds = opened.seconds(first, last) / RUNS
        opened.forget(first)
        opened.forget(last)
        return seconds

    return statistics.median(once() for _ in range(ROUNDS))


def torch_seconds(name: str, half: bool) -> float | None:
    """Of one run of the layer by PyTorch; None where it is not installed, has no GPU, or the name is a network's."""
    try:
        import torch
    except ImportError:
        return None
    if name not in LAYERS or not torch.cuda.is_available():
        return None
    channels, size, filters, kernel, stride, groups = LAYERS[name]
    kind = torch.float16 if half else torch.float32
    conv = torch.nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups)
    conv = conv.cuda().to(kind, memory_format=torch.channels_last).eval()
    x = torch.randn(1, channels, size, size, device="cuda", dtype=kind).to(memory_format=torch.channels_last)
    torch.backends.cudnn.benchmark = True
    with torch.inference_mode():
        for _ in range(RUNS):
            conv(x)
        return statistics.median(_torch_once(torch, lambda: conv(x)) for _ in range(ROUNDS))


def _torch_once(torch, run: Callable) -> float:
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(RUNS):
        run()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / 1e3 / RUNS


def measure(name: str) -> dict:
    """Seconds by who ran it and in what, and the multiply-accumulates."""
    row = {"name": name}
    for real in (False, True):
        module = compiled(name, real)
        info = module.tensors[module.inputs[0]]
        x = np.random.default_rng(0).standard_normal(info.shape).astype(info.dtype)
        row["macs"] = module.macs
        row["weft float32" if real else "weft int8"] = weft_seconds(module, x, name in LAYERS)
    return row | {"PyTorch float16": torch_seconds(name, True), "PyTorch float32": torch_seconds(name, False)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*LAYERS, *NETWORKS])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    try:
        device = gpu.open_gpu(compiled(next(iter(LAYERS)), False)).name
    except WeftError as error:
        sys.exit(f"benchmarks.gpu_layers needs a GPU: {error.found}; {error.hint}")
    rows = [measure(name) for name in chosen.names]
    if chosen.json:
        return print(json.dumps({"device": device, "rows": rows}))
    table = Table(title=f"milliseconds on {device}; a batch of 1")
    columns = [column for column in rows[0] if column not in ("name", "macs")]
    for column in ("layer or network", *columns, "int8 TMAC/s"):
        table.add_column(column, justify="left" if column.startswith("layer") else "right")
    for row in rows:
        cells = ["" if row[column] is None else f"{1e3 * row[column]:.4f}" for column in columns]
        table.add_row(row["name"], *cells, f"{row['macs'] / row['weft int8'] / 1e12:.2f}")
    return Console(width=160).print(table)


if __name__ == "__main__":
    main()
