"""The accelerator on a board as a library for C: a `weft_device` of registers and memory."""

from pathlib import Path

from weft.isa.registers import REGISTERS
from weft.llvm import machine

from . import linker
from .linker import SOURCES, host_architecture


def export_board(path: str | Path, *, cpu: str | None = None, cc: str | None = None) -> None:
    """Writes the device of a board as a library, and board.h and device.h beside it. It is the same for every config: the register
    `fingerprint` tells which one the board has.

    path, cpu, cc: as for `export_device`. WeftError where there is no C compiler for that CPU.
    """
    path = Path(path)
    linker.check_output(path)
    command = linker.compiler(machine.forms_of(cpu or host_architecture())[0].architecture, cc)
    sources = {"board.c": (SOURCES / "board.c").read_text(), "registers.h": registers()}
    linker.link(path, sources, {}, command, exported="weft_board_open")
    for name in ("board.h", "device.h"):
        linker.write_header(path.parent / name, (SOURCES / name).read_text())


def registers() -> str:
    """registers.h: offsets of all registers, and masks of their fields."""
    lines = []
    for name, register in REGISTERS.items():
        lines.append(f"#define REGISTER_{name.upper()} {register.offset:#04x}u")
        lines += [f"#define {name.upper()}_{field.upper()} {(1 << width) - 1 << low:#x}u" for field, low, width in register.bits]
    return "\n".join([*lines, ""])
