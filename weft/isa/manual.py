"""Writes docs/isa.md and the C header from the table. `python -m weft.isa.manual` prints the manual, with --c the header."""

import sys

from .config import DEFAULT, Config
from .program import Instruction, encode
from .quantise import requantise
from .registers import REGISTERS, TOKEN_QUEUE_DEPTH
from .table import (ALU_OPS, CAPABILITIES, INSTRUCTION_BITS, INSTRUCTIONS, MEMORIES, VERSION, Capability, InstructionInfo, Memory,
                    Module, Opcode, layouts, micro_op_layout)

SIZES = ("uop", "inp", "wgt", "acc", "out", "qnt", "lut")

_INTRODUCTION = """# The instruction set

Written by `python -m weft.isa.manual` from the table in weft/isa/table.py; do not edit. Bits are those of the default
configuration: widths of indices follow the depths of the buffers (`weft config NAME` prints them for another).

An instruction is 128 bits, little-endian. Bits that no field names are free, and 0. Three modules run beside one another,
each its own instructions in order, and meet only through tokens: an instruction pops its tokens before its effect and pushes
after it. A queue holds {depth} tokens; a push to a full one waits. Scratchpads and left-over tokens survive from one launch to the next.

| module | instructions | prev | next |
| --- | --- | --- | --- |
| load | LOAD of INP and WGT | | compute |
| compute | LOAD of UOP, ACC, ACC_8BIT, QNT and LUT, GEMM, ALU, DEPTHWISE, FINISH | load | store |
| store | STORE | compute | |

The base set is binary compatible with VTA (HW_VER 0.0.2). Extensions use free codes only; the capability word
(register `capability`, {capabilities:#x} here) tells which are there: {names}.
"""


def _bits(offset: int, width: int) -> str:
    return f"{offset + width - 1}:{offset}" if width > 1 else str(offset)


def size_rows(config: Config) -> list[tuple[str, int, int, int]]:
    """(memory, bytes of an element, elements, bytes) of every scratchpad."""
    return [(m, getattr(config, f"{m}_bytes"), getattr(config, f"{m}_depth"),
             getattr(config, f"{m}_bytes") * getattr(config, f"{m}_depth")) for m in SIZES]


def field_rows(config: Config) -> list[tuple[str, str, str, str]]:
    """(instruction, bits, field, what it is) of every field, the header's once."""
    rows = []
    docs = {b.name: b.doc for info in INSTRUCTIONS.values() for b in info.fields if b.name}
    for opcode, layout in layouts(config).items():
        for f in layout.fields.values():
            if opcode == Opcode.FINISH or f.offset >= 7:
                rows.append(("every" if opcode == Opcode.FINISH else opcode.name, _bits(f.offset, f.width), f.name, docs.get(f.name, "")))
    rows.sort(key=lambda r: r[0] != "every")
    return rows + [("micro-op", _bits(f.offset, f.width), f.name, "") for f in micro_op_layout(config).fields.values()]


def _table(head: tuple[str, ...], rows) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in lines) + "\n"


def _instruction(opcode: Opcode, info: InstructionInfo) -> str:
    rows = [(bits, name, doc) for kind, bits, name, doc in field_rows(DEFAULT) if kind == opcode.name]
    told = f" Told by capability bit {info.capability.value} ({info.capability.name})." if info.capability is not None else ""
    parts = [f"## {opcode.name} (opcode {opcode.value})\n\n{info.doc}{told}\n"]
    if rows:
        parts.append(_table(("bits", "field", ""), rows))
    parts.append(f"Meaning:\n\n```python\n{info.meaning}\n```\n\nText: `{info.text}`\n")
    return "\n".join(parts)


def manual() -> str:
    """docs/isa.md, whole."""
    memories = [(m.value, m.name, info.module.name.lower(), info.dram_bytes(DEFAULT), info.doc) for m, info in MEMORIES.items()]
    alu = [(o.code, o.name, "imm or acc[src]" if o.operand == "acc" else f"{o.operand}[src]", o.doc) for o in ALU_OPS.values()]
    registers = [(f"{r.offset:#04x}", r.name, r.access, r.doc + "".join(f"; {_bits(o, w)} {n}" for n, o, w in r.bits))
                 for r in REGISTERS.values()]
    parts = [
        _INTRODUCTION.format(depth=TOKEN_QUEUE_DEPTH, capabilities=CAPABILITIES,
                             names=", ".join(f"bit {c.value} {c.name}" for c in Capability)),
        "## Sizes\n\n" + _table(("memory", "bytes of an element", "elements", "bytes"), size_rows(DEFAULT)),
        "## Header\n\n" + _table(("bits", "field", ""), [r[1:] for r in field_rows(DEFAULT) if r[0] == "every"]),
        *(_instruction(opcode, info) for opcode, info in INSTRUCTIONS.items()),
        "## Memories\n\n" + _table(("memory_type", "name", "module", "bytes of an element in DRAM", ""), memories),
        "OUT is always the narrowed shadow of ACC: every write of an element of ACC, a load or a reset included, also writes the low\n"
        "bits of its lanes to the element of OUT of the same index.\n",
        "## ALU operations\n\nOn every int32 lane, x = acc[dst]; the result goes to acc[dst].\n\n"
        + _table(("alu_opcode", "name", "y", "result"), alu),
        "## Requantisation\n\n```\n" + requantise.__doc__.strip() + "\n```\n\nA lane of QNT is 16 bytes:\n\n```\n"
        + "\n".join(line for line in sys.modules[requantise.__module__].__doc__.splitlines() if line.startswith("    word")) + "\n```\n",
        "## Micro-ops\n\n" + _table(("bits", "field"), [r[1:3] for r in field_rows(DEFAULT) if r[0] == "micro-op"]),
        "## Registers\n\n32 bits each, by byte offset, behind AXI4-Lite. The first ten are those that VTA's hosts know.\n\n"
        + _table(("offset", "register", "access", ""), registers),
    ]
    return "\n".join(parts)


def c_header(config: Config) -> str:
    """The same table as a C header: offsets, widths and codes for hosts that write instructions without Python."""
    lines = [f"/* weft instruction set for config '{config.name}'; written by weft.isa.manual. */", "#ifndef WEFT_ISA_H", "#define WEFT_ISA_H", ""]

    def define(name: str, value):
        lines.append(f"#define WEFT_{name.upper()} {value}")

    define("version", f"{VERSION:#x}")
    define("capabilities", f"{CAPABILITIES:#x}")
    define("instruction_bytes", INSTRUCTION_BITS // 8)
    for enum, prefix in ((Opcode, "opcode"), (Memory, "memory"), (Module, "module")):
        for member in enum:
            define(f"{prefix}_{member.name}", member.value)
    for op in ALU_OPS.values():
        define(f"alu_{op.name}", op.code)
    for memory, element, depth, _ in size_rows(config):
        define(f"{memory}_bytes", element)
        define(f"{memory}_depth", depth)
    for name, layout in [*((o.name, l) for o, l in layouts(config).items()), ("uop", micro_op_layout(config))]:
        for f in layout.fields.values():
            define(f"{name}_{f.name}_lsb", f.offset)
            define(f"{name}_{f.name}_width", f.width)
    for r in REGISTERS.values():
        define(f"register_{r.name}", f"{r.offset:#04x}")
    finish = encode([Instruction(Opcode.FINISH)], config)[0]
    lines += ["", f"/* FINISH without tokens: {finish.tobytes().hex()} */", "#endif", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(c_header(DEFAULT) if "--c" in sys.argv[1:] else manual())
