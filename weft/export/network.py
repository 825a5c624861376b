"""A network as a library for C: tables, constants, and machine code of its functions in every form."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weft.isa import WeftError
from weft.llvm import machine
from weft.llvm.threads import BARRIER_BYTES
from weft.runtime.module import Module

from . import linker, tables
from .elf import renamed
from .header import header
from .linker import SOURCES, host_architecture
from .steps import LINE, MOST_AXES, Plan, plan

KINDS = ("FILL", "COPY", "WRITE", "READ", "LAUNCH", "CALL")


def export_library(module: "Module | str | Path", path: str | Path, *, cpu: str | None = None, cc: str | None = None,
                   prefix: str | None = None) -> None:
    """Writes a network as a library for C, and its header beside it: net.so and net.h.

    Parameters
    ----------
    module: a module, or the file that `Module.save` wrote.
    path: its name ends in .so (shared) or .o (to be linked into a program).
    cpu: 'x86-64', 'aarch64', 'armv7' or 'riscv64'; by default the one that the module has code for, else this machine's.
    cc: the C compiler, as it would be typed; by default this machine's, or for another one `zig cc` of the package ziglang.
    prefix: what names in C begin with; by default the file's name.

    Raises
    ------
    WeftError: for a module with operators in NumPy (each is named), or without code for that CPU; where there is no C
        compiler, or it fails.
    """
    module = module if isinstance(module, Module) else Module.load(module)
    path = Path(path)
    linker.check_output(path)
    library = Library(plan(module), _forms(module, cpu), tables.identifier(prefix or path.stem.removeprefix("lib")))
    command = linker.compiler(library.forms[0].architecture, cc)
    described, constants = header(module, library.prefix), library.constants()[0]
    sources = {"network.c": (SOURCES / "network.c").read_text(), "network_tables.h": library.tables(),
               "cpu_features.h": tables.features(), f"{library.prefix}.h": described}
    files = {"image.bin": module.image.tobytes(), "constants.bin": constants, **library.codes()}
    linker.link(path, sources, files, command, exported=f"{library.prefix}_*")
    linker.write_header(path.parent / f"{library.prefix}.h", described)


def _forms(module: Module, cpu: str | None) -> list[machine.Form]:
    """The forms of a machine that the module has code for; all where it needs none."""
    if cpu is None:
        machines = {machine.FORMS[name].architecture for name in module.code} or {host_architecture()}
        cpu = host_architecture() if host_architecture() in machines else min(machines)
    found = [form for form in machine.forms_of(cpu) if form.name in module.code]
    if module.functions and not found:
        raise WeftError(f"module '{module.name}'", f"it must have code for {cpu}", ", ".join(module.code) or "none",
                        f"`weft compile --cpu {cpu}`")
    return found or machine.forms_of(cpu)


@dataclass(frozen=True)
class Library:
    """What a library is made of. prefix: what its names begin with."""

    plan: Plan
    forms: list[machine.Form]
    prefix: str

    @property
    def module(self) -> Module:
        return self.plan.module

    def symbol(self, form: machine.Form, symbol: str) -> str:
        """A symbol of the module's code as it is called in the library, which has the same function in several forms."""
        return f"weft_{self.prefix}_{form}_{symbol}"

    def codes(self) -> dict[str, bytes]:
        """Object files by name."""
        made = {}
        for form in self.forms:
            code = self.module.code.get(form.name, {})
            names = {symbol: self.symbol(form, symbol) for symbol in code}
            made |= {f"{names[symbol]}.o": renamed(code[symbol], names) for symbol in code}
        return made

    def constants(self) -> tuple[bytes, list[int]]:
        """All that the library reads and the device does not: (bytes, where each function's begin)."""
        blob, places = bytearray(self.plan.constants), []
        for function in self.module.functions:
            blob.extend(bytes(-len(blob) % LINE))
            places.append(len(blob))
            blob.extend(np.ascontiguousarray(function.constants).tobytes())
        return bytes(blob), places

    def tables(self) -> str:
        """network_tables.h: what network.c runs."""
        plan, functions, (constants, places) = self.plan, self.module.functions, self.constants()
        steps = ((s.kind, s.number, s.size, s.place) for s in plan.steps)
        copies = ((c.to, c.source, c.item, len(c.loops), c.flip, c.loops) for c in plan.copies)
        calls = ((place, len(io), io) for place, io in zip(places, plan.calls))
        forms = ((tables.needs(form), [self.symbol(form, f.symbol) for f in functions] or ["0"]) for form in self.forms)
        return "\n".join([
            f'#include "{self.prefix}.h"', f"#define NETWORK {self.prefix}", f"#define NAME(function) {self.prefix}_##function",
            f"#define FINGERPRINT 0x{int(self.module.config.fingerprint, 16) & 0xffffffff:08x}u", *self._numbers(),
            "typedef struct { int base; uint64_t offset; } place;",
            "typedef struct { int kind; uint64_t number, size; place place; } step;",
            "typedef struct { uint32_t size; int64_t to, from; } copy_loop;",
            f"typedef struct {{ place to, from; int item, rank; uint8_t flip; copy_loop loops[{MOST_AXES}]; }} copy;",
            "typedef struct { uint64_t first; int count; place io[MOST_IO]; } function;",
            "typedef void code(void *, const void *, void **, int64_t, int64_t, void *);",
            f"typedef struct {{ unsigned needs; code *code[{max(1, len(functions))}]; }} cpu_form;",
            *(f"code {self.symbol(form, f.symbol)};" for form in self.forms for f in functions),
            self._included("image", self.module.image.size), self._included("constants", len(constants)),
            tables.table("step steps[]", steps, "{.kind = 0}"), tables.table("copy copies[]", copies, "{.item = 0}"),
            tables.table("function functions[]", calls, "{.count = 0}"), tables.table("cpu_form forms[]", forms)])

    def _numbers(self) -> list[str]:
        module, plan = self.module, self.plan
        sizes = {"SCRATCH_SIZE": plan.scratch, "ARENA_SIZE": max([f.arena_size for f in module.functions], default=0),
                 "BARRIER_SIZE": BARRIER_BYTES, "IMAGE_SIZE": module.image.size, "MEMORY_SIZE": module.memory_size}
        numbers = {"INPUTS": len(module.inputs), "OUTPUTS": len(module.outputs), "LAUNCHES": len(module.launches),
                   "STEPS": len(plan.steps), "FUNCTIONS": len(module.functions), "FORMS": len(self.forms),
                   "MOST_IO": max([len(io) for io in plan.calls], default=1), **{f"STEP_{kind}": k for k, kind in enumerate(KINDS)}}
        return [*(f"static const uint64_t {name} = {size};" for name, size in sizes.items()),
                "enum {", *(f"    {name} = {number}," for name, number in numbers.items()), "};"]

    def _included(self, name: str, size: int) -> str:
        """A file of the build's folder as an array: the assembler reads it, for no compiler likes megabytes of numbers."""
        symbol = f"{self.prefix}_{name}_bytes"
        lines = [".section .rodata", f".balign {LINE}", f".globl {symbol}", f".hidden {symbol}", f"{symbol}:",
                 f'.incbin \\"{name}.bin\\"' if size else ".byte 0", ".text"]
        return "\n".join(["__asm__(", *(f'    "{line}\\n"' for line in lines), ");",
                          f'extern const uint8_t {symbol}[] __attribute__((visibility("hidden")));', f"#define {name} {symbol}"])
