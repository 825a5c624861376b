"""From a trained network to hardware: compiles the digits network, classifies on the accelerator, and compares every byte.

`make demo` runs this. Functional device: the whole test split. RTL, simulated by Verilator: a few digits, with cycles.
"""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import weft
from weft.runtime.device import open_device
from weft.runtime.executor import Executor
from weft.tables import placement_table, run_table

from .data import load

HERE = Path(__file__).parent
SHADES = " .:-=+*#%@"
ON_RTL = 4  # digits


def picture(image: np.ndarray) -> str:
    """An image of values 0 to 1 as text, two characters a pixel."""
    return "\n".join("".join(SHADES[round(float(v) * (len(SHADES) - 1))] * 2 for v in row) for row in image)


def accuracy(module: weft.Module, images: np.ndarray, labels: np.ndarray, console: Console) -> tuple[int, bool]:
    """(images classified right, whether every output byte equals the integer reference's) on the functional device."""
    executor = Executor(module, open_device("functional", module.config, module.memory_size))
    right, exact = 0, True
    for image, label in track(list(zip(images, labels)), "functional device", console=console, transient=True):
        outputs, report = executor.run([image[None]])
        right += int(outputs[module.outputs[0]].argmax() == label)
        exact &= report.bit_exact
    return right, exact


def on_rtl(module: weft.Module, images: np.ndarray):
    """For each image (class, RunReport) on the Verilated hardware."""
    executor = Executor(module, open_device("rtl", module.config, module.memory_size))
    try:
        for image in images:
            outputs, report = executor.run([image[None]])
            yield int(outputs[module.outputs[0]].argmax()), report
    finally:
        executor.device.close()


def main(console: Console | None = None) -> bool:
    """Runs the demo; True if every comparison held."""
    console = console or Console()
    _, _, images, labels = load()
    model = HERE / "digits_int8.onnx"
    modules = {threads: weft.compile(model, virtual_threads=threads) for threads in (1, 2)}
    module = modules[2]
    console.print(placement_table(module))

    right, exact = accuracy(module, images, labels, console)
    console.print(f"functional device: {right} of {len(labels)} test digits right ({right / len(labels):.1%}), "
                  f"{'every byte equals' if exact else '[red]NOT equal to[/]'} the integer reference")

    with console.status("Verilog of the accelerator, compiled by Verilator (once; about a minute)"):
        results = list(on_rtl(module, images[:ON_RTL]))
    digits = Table(title="on RTL", title_justify="left", title_style="bold")
    for (answer, report), label in zip(results, labels):
        digits.add_column(f"read as {answer}, is {label}\n{report.cycles:,} cycles, {'bit-exact' if report.bit_exact else 'DIFFERS'}")
    digits.add_row(*(picture(image[0]) for image in images[:ON_RTL]))
    console.print(digits)
    console.print(run_table(results[0][1]))

    cycles = {threads: next(on_rtl(modules[threads], images[:1]))[1].cycles for threads in modules}
    console.print(f"virtual threads: {cycles[1]:,} cycles with one, {cycles[2]:,} with two: {cycles[1] / cycles[2]:.2f} times as fast")
    exact &= all(report.bit_exact for _, report in results)
    console.print("bit-exact against the integer reference on both devices: " + ("yes" if exact else "[red]NO[/]"))
    return exact


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
