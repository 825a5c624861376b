"""What the commands share: the application, its consoles, options of several commands, and printing."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from weft.isa import PRESETS, WeftError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Co-design toolkit for a VTA-class tensor accelerator.")
out, err = Console(), Console(stderr=True)

ConfigOption = Annotated[str, typer.Option("--config", help=f"{', '.join(PRESETS)}, or a TOML file")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
DeviceOption = Annotated[str, typer.Option("--device", help="functional, timing, rtl, or reference: the meaning in NumPy, slow")]
TargetOption = Annotated[Optional[str], typer.Option("--target", help="where it may run: accel; accel,cpu (without: what the accelerator cannot do is compiled for the CPU); cpu; accel,gpu; gpu")]
CpuOption = Annotated[Optional[str], typer.Option("--cpu", help="machine code for: native, this CPU's best form only; x86-64, aarch64, armv7, riscv64, all forms. This CPU's architecture, without")]
ThreadsOption = Annotated[Optional[int], typer.Option("--threads", help="of the CPU's part; as many as cores, without")]
WITHOUT_CLOCK = ("functional", "reference")
MemoryOptions = {"latency": "read latency in cycles", "stall_seed": "stall every channel at random, from this seed"}


def print_json(value):
    """To standard output, whatever the console's width."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def progress_bar() -> Progress:
    """On standard error, and only where that is a terminal."""
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err,
                    transient=True, disable=not err.is_terminal)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar for work that tells (parts done, parts in all, name of the one that begins)."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=name or what)


def device_options(device: str, latency: int | None, stall_seed: int | None) -> dict:
    """The DRAM options that were given. WeftError for a device without a clock."""
    given = {k: v for k, v in (("latency", latency), ("stall_seed", stall_seed)) if v is not None}
    if given and device in WITHOUT_CLOCK:
        raise WeftError(f"device '{device}'", "it has no clock, so no DRAM timing", ", ".join(given), "--device timing or rtl")
    return given


def load_array(path: Path) -> np.ndarray:
    """A .npy file. WeftError where it is none."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WeftError(f"input {path}", "an input is a NumPy .npy file", f"{type(error).__name__}: {error}", "np.save") from None
