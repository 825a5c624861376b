"""Assembler and disassembler: text and instructions, both ways, by the templates of the table.

    load inp sram=0 dram=272 y=1 x=4 stride=4 push_next
    gemm uop=0:1 iter=1,4 dst=0,1 src=0,1 wgt=0,0 pop_prev push_next
    alu max uop=0:1 iter=1,4 dst=0,1 src=0,0 use_imm

A program's text says where everything stands in DRAM; numbers are decimal or 0x.

    .config default
    .dram 0x1000 4096            address and bytes
    .uop 0x1400 dst=0 src=0 wgt=0
    .data 0x1100 00ff12          bytes in hexadecimal
    .after 0x1200 ...            bytes that must be there afterwards, where they differ from before
    .code 0x1800                 instructions follow
"""

import re
import shlex
from functools import lru_cache

import numpy as np

from .config import Config, load_config
from .errors import WeftError
from .program import Instruction, RawProgram, decode, encode, encode_micro_ops
from .table import ALU_BY_NAME, INSTRUCTIONS, Memory, Opcode

FLAGS = ("pop_prev", "pop_next", "push_prev", "push_next")
_SYMBOLS = {"memory_type": {m.name.lower(): m.value for m in Memory}, "alu_opcode": {n: o.code for n, o in ALU_BY_NAME.items()}}
_FIELD = re.compile(r"{(\w+)}")


@lru_cache
def _template(opcode: Opcode) -> tuple[tuple[str, tuple[str, ...], str, bool], ...]:
    """Words behind the mnemonic: (key, fields, the text with {fields}, optional)."""
    words = []
    for word in INSTRUCTIONS[opcode].text.split()[1:]:
        text = word.strip("[]")
        fields = tuple(_FIELD.findall(text)) or (text,)
        words.append((text.split("=")[0] if "=" in text or not text.startswith("{") else "", fields, text, word.startswith("[")))
    return tuple(words)


def _symbol(name: str, value: int) -> str:
    names = {v: k for k, v in _SYMBOLS.get(name, {}).items()}
    return names.get(value, str(value))


def to_text(i: Instruction) -> str:
    """One line of assembly."""
    words = [INSTRUCTIONS[i.opcode].text.split()[0]]
    for key, fields, text, optional in _template(i.opcode):
        if not optional or any(getattr(i, f) for f in fields):
            words.append(_FIELD.sub(lambda m: _symbol(m[1], getattr(i, m[1])), text))
    return " ".join(words + [f for f in FLAGS if getattr(i, f)])


_MNEMONICS = {info.text.split()[0]: opcode for opcode, info in INSTRUCTIONS.items()}


def from_text(line: str, subject: str = "assembly") -> Instruction:
    """The instruction of one line. WeftError, with `subject` in front, where it cannot be understood."""
    mnemonic, *words = line.lower().split()
    if mnemonic not in _MNEMONICS:
        raise WeftError(subject, f"a line begins with one of {', '.join(_MNEMONICS)}", repr(mnemonic), "one of these")
    opcode, fields = _MNEMONICS[mnemonic], {}
    template = {key: (names, text) for key, names, text, _ in _template(opcode)}
    for word in words:
        key, equals, value = word.partition("=")
        if word in FLAGS or not equals and key in template and template[key][0] == (key,):
            fields[word] = 1
            continue
        names, text = template.get(key if equals else "", (None, None))
        pattern = _FIELD.sub("([^,:=]+)", re.escape(text).replace(r"\{", "{").replace(r"\}", "}")) if names else ""
        match = names and re.fullmatch(pattern, word)
        if not match:
            raise WeftError(subject, f"an operand is one of: {INSTRUCTIONS[opcode].text}, or {', '.join(FLAGS)}", repr(word), "that form")
        fields |= {n: _number(n, v, subject) for n, v in zip(names, match.groups())}
    return Instruction(opcode, {k: v for k, v in fields.items() if v})


def _number(name: str, text: str, subject: str) -> int:
    symbols = _SYMBOLS.get(name, {})
    if text in symbols:
        return symbols[text]
    try:
        return int(text, 0)
    except ValueError:
        hint = f"one of {', '.join(symbols)}" if symbols else "a decimal number, or 0x..."
        raise WeftError(subject, f"{name} must be a number", repr(text), hint) from None


def disassemble(program: RawProgram) -> str:
    """A raw program as text that `assemble` reads back to the same bytes."""
    lines = [f"# {program.name}: {len(program.insns)} instructions", f".config {shlex.quote(program.config.name)}",
             f".dram {program.dram_base:#x} {program.dram_before.size}"]
    stream = program.insns.reshape(-1)
    before = program.dram_before.copy()
    at = program.insn_address - program.dram_base
    if 0 <= at and np.array_equal(before[at:at + stream.size], stream):
        before[at:at + stream.size] = 0  # .code puts it there again
    lines += _data_lines(".data", before, np.zeros_like(before), program.dram_base)
    if program.dram_after is not None:
        lines.append(".checked")
        lines += _data_lines(".after", program.dram_after, program.dram_before, program.dram_base)
    lines.append(f".code {program.insn_address:#x}")
    lines += [to_text(i) for i in decode(program.insns, program.config)]
    return "\n".join(lines) + "\n"


def _data_lines(directive: str, content: np.ndarray, known: np.ndarray, base: int) -> list[str]:
    """Rows of 32 bytes, those that are known left out."""
    rows = range(0, content.size, 32)
    return [f"{directive} {base + r:#x} {content[r:r + 32].tobytes().hex()}" for r in rows
            if not np.array_equal(content[r:r + 32], known[r:r + 32])]


def assemble(text: str, name: str = "program", config: Config | None = None) -> RawProgram:
    """A raw program from its text. WeftError with the line's number where it cannot be understood."""
    return _Assembler(name, config).run(text)


class _Assembler:
    def __init__(self, name: str, config: Config | None):
        self.name, self.config = name, config
        self.dram: np.ndarray | None = None
        self.after: list[tuple[int, np.ndarray]] | None = None
        self.instructions: list[Instruction] = []
        self.code = None

    def run(self, text: str) -> RawProgram:
        for number, line in enumerate(text.splitlines(), 1):
            self.subject = f"{self.name}, line {number}"
            line = line.split("#")[0].strip()
            if line.startswith("."):
                self._directive(*shlex.split(line))
            elif line:
                self.instructions.append(from_text(line, self.subject))
        self.subject = self.name
        if self.code is None or self.dram is None:
            self._refuse("a program has .dram and .code", "neither" if self.dram is None else "no .code", ".dram 0x1000 4096 and .code 0x1000")
        insns = encode(self.instructions, self.config or load_config("default"))
        self._put(self.dram, self.code, insns.reshape(-1))
        after = None
        if self.after is not None:
            after = self.dram.copy()
            for address, data in self.after:
                self._put(after, address, data)
        return RawProgram(self.name, self.config or load_config("default"), insns, self.code, self.base, self.dram, after)

    def _refuse(self, rule: str, found: str, hint: str):
        raise WeftError(self.subject, rule, found, hint)

    def _directive(self, word: str, *operands: str):
        try:
            match (word, *operands):
                case (".config", source):
                    self.config = self.config or load_config(source)
                case (".dram", address, size):
                    self.base, self.dram = int(address, 0), np.zeros(int(size, 0), np.uint8)
                case (".code", address):
                    self.code = int(address, 0)
                case (".checked",):
                    self.after = []
                case (".data", address, *data):
                    self._put(self.dram, int(address, 0), self._bytes(data))
                case (".after", address, *data):
                    self.after = self.after or []
                    self.after.append((int(address, 0), self._bytes(data)))
                case (".uop", address, *fields):
                    values = {k: int(v, 0) for k, v in (f.split("=") for f in fields)}
                    word = encode_micro_ops(*([values.get(k, 0)] for k in ("dst", "src", "wgt")), self.config or load_config("default"))
                    self._put(self.dram, int(address, 0), word.view(np.uint8))
                case _:
                    self._refuse("a directive is .config .dram .uop .data .checked .after or .code with its operands",
                                 " ".join((word, *operands)), "weft.isa.asm's docstring")
        except ValueError as error:
            self._refuse("a number is decimal or 0x", str(error), "another spelling")

    @staticmethod
    def _bytes(data: tuple[str, ...]) -> np.ndarray:
        return np.frombuffer(bytes.fromhex("".join(data)), np.uint8)

    def _put(self, memory: np.ndarray | None, address: int, data: np.ndarray):
        if memory is None or address < self.base or address + data.size > self.base + memory.size:
            self._refuse("bytes must lie within .dram, which comes first", f"{data.size} bytes at {address:#x}", "a larger .dram")
        memory[address - self.base:address - self.base + data.size] = data
