"""The functional device as a library for C: the engine's machine code for one config, in every form of an architecture."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from llvmlite import ir

from weft.isa import MEMORIES, Config, Memory, Module, Opcode
from weft.isa.happens_before import POPS, PUSHES
from weft.isa.table import layouts, module_of
from weft.llvm import machine
from weft.runtime.device import Bases
from weft.sim.engine import FINISHED, dispatch
from weft.sim.engine.forms import forms as engine_forms
from weft.sim.engine.context import Context
from weft.sim.engine.records import GIVEN, MODULE, TAKEN, columns
from weft.sim.engine.state import SCRATCHPADS, WORDS, arrays

from . import linker, tables
from .linker import SOURCES, host_architecture


def export_device(path: str | Path, config: Config, *, cpu: str | None = None, cc: str | None = None) -> None:
    """Writes the functional device of a config as a library, and functional.h and device.h beside it.

    path: its name ends in .so (shared) or .o (to be linked into a program).
    cpu: 'x86-64', 'aarch64', 'armv7' or 'riscv64'; by default this machine's. The library has all forms of code for it, and chooses
        among them by what the CPU has. cc: as for `linker.compiler`.
    WeftError where there is no C compiler for it.
    """
    write_device(Path(path), config, machine.forms_of(cpu or host_architecture()), cc)


def write_device(path: Path, config: Config, forms: Sequence[machine.Form], cc: str | None = None) -> None:
    """`export_device` with some forms of an architecture only, the fastest first."""
    linker.check_output(path)
    command = linker.compiler(forms[0].architecture, cc)
    codes = {f"engine_{form}.o": engine_code(config, form) for form in forms}
    sources = {"functional.c": (SOURCES / "functional.c").read_text(), "functional_tables.h": device_tables(config, forms),
               "cpu_features.h": tables.features()}
    linker.link(path, sources, codes, command, exported="weft_functional_open")
    for name in ("functional.h", "device.h"):
        linker.write_header(path.parent / name, (SOURCES / name).read_text())


def engine_form(config: Config, form: machine.Form):
    """How the engine multiplies on CPUs of this form."""
    found = next(iter(engine_forms(config, dict.fromkeys(form.features, True)).values()))
    return dataclasses.replace(found, vectors=form.vectors, vector_bits=form.vector_bits)


def engine_code(config: Config, form: machine.Form) -> bytes:
    """Object code of the engine, whose functions are `prepare_FORM` and so on."""
    module = ir.Module(f"engine_{form}")
    begin = partial(Context.begin, config, engine_form(config, form), module)
    dispatch.emit(lambda name, kind, exported=False: begin(f"{name}_{form}" if exported else name, kind, exported), config)
    return machine.object_code(module, form)


def array_bytes(config: Config, form: machine.Form) -> dict[str, int]:
    """Bytes of each array that the engine's words point to and the device owns."""
    own = {name: int(np.prod(shape)) * np.dtype(dtype).itemsize
           for name, (shape, dtype) in arrays(config, engine_form(config, form)).items()}
    return {name: getattr(config, f"{name}_depth") * getattr(config, f"{name}_bytes") for name in SCRATCHPADS} | own


def device_tables(config: Config, forms: Sequence[machine.Form]) -> str:
    """functional_tables.h."""
    sizes = {form.name: array_bytes(config, form) for form in forms}
    names = list(next(iter(sizes.values())))
    bases = [field.name for field in dataclasses.fields(Bases)]
    place, memories = columns(), max(MEMORIES) + 1
    flags = [(module, place[flag], queue, place[into]) for into, by_module in ((TAKEN, POPS), (GIVEN, PUSHES))
             for module, queues in by_module.items() for flag, queue in queues.items()]
    of = layouts(config)
    numbers = {"WORDS": len(WORDS), "ARRAYS": len(names), "COLUMNS": len(place), "FORMS": len(forms), "TOKENS": len(flags),
               "MEMORIES": memories, "FINISHED": FINISHED, "OPCODE_FINISH": Opcode.FINISH, "COLUMN_MODULE": place[MODULE],
               "COLUMN_MEMORY_TYPE": place["memory_type"]} | {f"WORD_{name.upper()}": k for k, name in enumerate(WORDS)}
    text = [f"#define FINGERPRINT 0x{int(config.fingerprint, 16) & 0xffffffff:08x}u", "enum {"]
    text += [f"    {name} = {int(number)}," for name, number in numbers.items()] + ["};"]
    text += ["typedef struct { int column, offset, width, is_signed; } field;",
             "typedef struct { int module, flag, queue, into; } token;",
             "typedef struct { int64_t (*prepare)(void *), (*run)(void *); unsigned needs; uint64_t arrays[ARRAYS]; } engine_form;"]
    text += [f"int64_t prepare_{form}(void *), run_{form}(void *);" for form in forms]
    for opcode, layout in of.items():
        fields = ((place[f.name], f.offset, f.width, f.signed) for f in layout.fields.values())
        text.append(tables.table(f"field fields_{opcode.name}[]", fields))
    listed = [(f"fields_{Opcode(k).name}", len(of[k].fields)) if k in of else (0, 0) for k in range(8)]
    text += [tables.table("struct { const field *fields; int count; } opcodes[]", listed),
             tables.table("uint8_t module_of[][8]", ([_module(o, m) for m in range(8)] for o in range(8))),
             tables.table("token tokens[]", flags),
             f"static const int base_of[] = {tables.row(_base(m, bases) for m in range(memories))};",
             f"static const int array_words[] = {tables.row(WORDS.index(name) for name in names)};",
             tables.table("engine_form forms[]", ((f"prepare_{form}", f"run_{form}", tables.needs(form), list(sizes[form.name].values()))
                                                  for form in forms))]
    return "\n".join(text)


def _module(opcode: int, memory: int) -> Module:
    return module_of(opcode, memory) if opcode in list(Opcode) and memory in MEMORIES else Module(0)


def _base(memory: int, bases: list[str]) -> int:
    """Which of the base addresses a memory's DRAM addresses count from."""
    return bases.index(MEMORIES[Memory(memory)].buffer)
