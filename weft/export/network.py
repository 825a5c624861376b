"""A network as a library for C: header, tables, constants, and machine code of its functions in every form."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weft.isa import WeftError
from weft.llvm import machine
from weft.llvm.threads import BARRIER_BYTES
from weft.runtime.module import Module, TensorInfo

from . import linker, tables
from .elf import renamed
from .linker import SOURCES, host_architecture
from .steps import LINE, MOST_AXES, Plan, plan

TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t", "uint32": "uint32_t",
         "int64": "int64_t", "uint64": "uint64_t", "float32": "float", "float64": "double", "bool": "uint8_t"}
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
    WeftError: for a module with operators in NumPy (each is named), or without code for that CPU; where there is no C compiler.
    """
    module = module if isinstance(module, Module) else Module.load(module)
    path = Path(path)
    linker.check_output(path)
    planned = plan(module)
    forms = _forms(module, cpu)
    command = linker.compiler(forms[0].architecture, cc)
    prefix = tables.identifier(prefix or path.name.removesuffix(path.suffix).removeprefix("lib"))
    symbols = {form.name: {symbol: f"weft_{prefix}_{form}_{symbol}" for symbol in module.code.get(form.name, ())} for form in forms}
    codes = {f"{name}.o": renamed(module.code[form][symbol], names) for form, names in symbols.items() for symbol, name in names.items()}
    constants, places = _constants(planned)
    sources = {"network.c": (SOURCES / "network.c").read_text(), "cpu_features.h": tables.features(),
               "network_tables.h": network_tables(planned, forms, symbols, places, len(constants), prefix), f"{prefix}.h": header(module, prefix)}
    linker.link(path, sources, {**codes, "image.bin": module.image.tobytes(), "constants.bin": constants}, command, exported=f"{prefix}_*")
    linker.write_header(path.parent / f"{prefix}.h", header(module, prefix))


def _forms(module: Module, cpu: str | None) -> list[machine.Form]:
    """The forms of a machine that the module has code for; all where it needs none."""
    if cpu is None:
        machines = {machine.FORMS[name].architecture for name in module.code} or {host_architecture()}
        cpu = host_architecture() if host_architecture() in machines else min(machines)
    found = [form for form in machine.forms_of(cpu) if form.name in module.code]
    if module.functions and not found:
        raise WeftError(f"module '{module.name}'", f"it must have code for {cpu}", ", ".join(module.code) or "none", f"`weft compile --cpu {cpu}`")
    return found or machine.forms_of(cpu)


def _constants(planned: Plan) -> tuple[bytes, list[int]]:
    """All that the library reads and the device does not: (bytes, where each function's begin)."""
    blob, places = bytearray(planned.constants), []
    for function in planned.module.functions:
        blob.extend(bytes(-len(blob) % LINE))
        places.append(len(blob))
        blob.extend(np.ascontiguousarray(function.constants).tobytes())
    return bytes(blob), places


def header(module: Module, prefix: str) -> str:
    """PREFIX.h: the device's interface, sizes and types of inputs and outputs, four functions."""
    upper = prefix.upper()
    device = (SOURCES / "device.h").read_text()
    text = [f"/* The network {tables.comment(module.name)}, for C. Written by weft. */", f"#ifndef {upper}_H", f"#define {upper}_H", "", device,
            "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
            f"#define {upper}_INPUTS {len(module.inputs)}", f"#define {upper}_OUTPUTS {len(module.outputs)}",
            f"#define {upper}_LAUNCHES {len(module.launches)} /* none: it needs no device */",
            f"#define {upper}_MEMORY_SIZE {module.memory_size} /* bytes of the device's DRAM, from `base` on */", ""]
    for kind, names in (("input", module.inputs), ("output", module.outputs)):
        for k, name in enumerate(names):
            text += _described(f"{upper}_{kind.upper()}_{k}", kind, k, name, module.tensors[name])
    text += [FUNCTIONS.replace("NETWORK", prefix), "#ifdef __cplusplus", "}", "#endif", "#endif", ""]
    return "\n".join(text)


FUNCTIONS = """typedef struct NETWORK NETWORK;

/* Makes the network ready to run, its constants in the device's DRAM from byte `base` (a multiple of 4096) on.
   device: stays the caller's, and must outlive the network; NULL for a network without launches.
   threads: of the CPU's part; 0: as many as cores. Returns a weft_status; *network is NULL unless it is WEFT_OK. */
int NETWORK_create(NETWORK **network, const weft_device *device, uint64_t base, int threads);

/* One input through the network: an array for each input and each output, row-major. By one thread at a time. */
int NETWORK_run(NETWORK *network, const void *const *inputs, void *const *outputs);

/* What the last error of NETWORK_run was, in words. */
const char *NETWORK_message(const NETWORK *network);

void NETWORK_destroy(NETWORK *network);
"""


def _described(name: str, kind: str, index: int, tensor: str, info: TensorInfo) -> list[str]:
    """What C is told of an input or output."""
    if info.dtype not in TYPES:
        raise WeftError(f"{kind} '{tensor}'", f"C knows {', '.join(TYPES)}", info.dtype, "another dtype at the network's edge")
    size = int(np.prod(info.shape, dtype=np.int64))
    text = [f"/* {kind} {index}: '{tables.comment(tensor)}', {info.dtype} {list(info.shape)} */",
            f"#define {name}_NAME {tables.string(tensor)}", f"#define {name}_TYPE {TYPES[info.dtype]}",
            f"#define {name}_RANK {len(info.shape)}", f"#define {name}_SHAPE {tables.row(info.shape)}",
            f"#define {name}_SIZE {size} /* elements */", f"#define {name}_BYTES {size * np.dtype(info.dtype).itemsize}"]
    if info.scale is not None:
        text += [f"#define {name}_SCALE {float(info.scale)!r}", f"#define {name}_ZERO_POINT {int(info.zero_point or 0)}"]
    return [*text, ""]


def network_tables(planned: Plan, forms: Sequence[machine.Form], symbols: dict, constants: Sequence[int], constants_size: int, prefix: str) -> str:
    """network_tables.h: what network.c runs."""
    module = planned.module
    sizes = {"SCRATCH_SIZE": planned.scratch, "ARENA_SIZE": max([f.arena_size for f in module.functions], default=0),
             "BARRIER_SIZE": BARRIER_BYTES, "IMAGE_SIZE": module.image.size, "MEMORY_SIZE": module.memory_size}
    numbers = {"INPUTS": len(module.inputs), "OUTPUTS": len(module.outputs), "LAUNCHES": len(module.launches), "STEPS": len(planned.steps),
               "FUNCTIONS": len(module.functions), "FORMS": len(forms), "MOST_IO": max([len(call) for call in planned.calls], default=1)}
    text = [f'#include "{prefix}.h"', f"#define NETWORK {prefix}", f"#define NAME(function) {prefix}_##function",
            f"#define FINGERPRINT 0x{int(module.config.fingerprint, 16) & 0xffffffff:08x}u"]
    text += [f"static const uint64_t {name} = {size};" for name, size in sizes.items()]
    text += ["enum {", *(f"    {name} = {number}," for name, number in numbers.items()), *(f"    STEP_{kind} = {k}," for k, kind in enumerate(KINDS)), "};",
             "typedef struct { int base; uint64_t offset; } place;", "typedef struct { int kind; uint64_t number, size; place place; } step;",
             "typedef struct { uint32_t size; int64_t to, from; } copy_loop;",
             f"typedef struct {{ place to, from; int item, rank; uint8_t flip; copy_loop loops[{MOST_AXES}]; }} copy;",
             "typedef struct { uint64_t first; int count; place io[MOST_IO]; } function;",
             "typedef void code(void *, const void *, void **, int64_t, int64_t, void *);",
             f"typedef struct {{ unsigned needs; code *code[{max(1, len(module.functions))}]; }} cpu_form;"]
    text += [f"code {symbols[form.name][function.symbol]};" for form in forms for function in module.functions]
    text += [_included("image", module.image.size, prefix), _included("constants", constants_size, prefix),
             tables.table("step steps[]", ((s.kind, s.number, s.size, s.place) for s in planned.steps), "{.kind = 0}"),
             tables.table("copy copies[]", ((c.to, c.source, c.item, len(c.loops), c.flip, c.loops) for c in planned.copies), "{.item = 0}"),
             tables.table("function functions[]", ((constants[k], len(call), call) for k, call in enumerate(planned.calls)), "{.count = 0}"),
             tables.table("cpu_form forms[]", ((tables.needs(f), [symbols[f.name][g.symbol] for g in module.functions] or ["0"]) for f in forms))]
    return "\n".join(text)


def _included(name: str, size: int, prefix: str) -> str:
    """A file of the build's folder as an array: the assembler reads it, for no compiler likes megabytes of numbers."""
    symbol = f"{prefix}_{name}"
    file = f'".incbin \\"{name}.bin\\"\\n"' if size else '".byte 0\\n"'
    return (f'__asm__(".section .rodata\\n.balign {LINE}\\n.globl {symbol}_bytes\\n.hidden {symbol}_bytes\\n{symbol}_bytes:\\n" {file} ".text\\n");\n'
            f"extern const uint8_t {symbol}_bytes[] __attribute__((visibility(\"hidden\")));\n#define {name} {symbol}_bytes\n")
