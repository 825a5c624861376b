"""Instructions as objects, and the raw program: a stream of instructions with the DRAM it works on."""

import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from .config import Config
from .errors import WeftError
from .table import INSTRUCTION_BYTES, Module, Opcode, layouts, micro_op_layout, module_of


@dataclass(frozen=True)
class Instruction:
    """One instruction: its opcode and the fields that are not 0. `i.x_size` reads a field, set or not.

    >>> Instruction(Opcode.FINISH, {"pop_prev": 1}).pop_prev
    1
    """

    opcode: Opcode
    fields: dict[str, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> int:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.fields.get(name, 0)

    @cached_property
    def module(self) -> Module:
        return module_of(self.opcode, self.memory_type)


def encode(instructions: list[Instruction], config: Config) -> np.ndarray:
    """The stream's bits: uint8 [n, 16], little-endian."""
    by_opcode = layouts(config)
    words = b"".join(by_opcode[i.opcode].encode(opcode=i.opcode, **i.fields).to_bytes(INSTRUCTION_BYTES, "little")
                     for i in instructions)
    return np.frombuffer(words, np.uint8).reshape(-1, INSTRUCTION_BYTES).copy()


def decode(stream: np.ndarray, config: Config) -> list[Instruction]:
    """Instructions of uint8 [n, 16]; fields that are 0 are left out. WeftError at an opcode that is free."""
    by_opcode = layouts(config)
    instructions = []
    for index, row in enumerate(np.ascontiguousarray(stream, np.uint8).reshape(-1, INSTRUCTION_BYTES)):
        word = int.from_bytes(row.tobytes(), "little")
        if word & 7 not in by_opcode:
            raise WeftError(f"instruction {index}", f"an opcode is one of {', '.join(f'{o.value} ({o.name})' for o in by_opcode)}",
                            str(word & 7), "a program made for this version of the instruction set")
        opcode = Opcode(word & 7)
        values = by_opcode[opcode].decode(word)
        del values["opcode"]
        instructions.append(Instruction(opcode, {k: v for k, v in values.items() if v}))
    return instructions


def encode_micro_ops(dst, src, wgt, config: Config) -> np.ndarray:
    """Micro-ops as uint32 [n] from three sequences of indices (scalars broadcast)."""
    layout = micro_op_layout(config)
    words = np.zeros(np.broadcast(dst, src, wgt).shape, np.uint32)
    for name, values in (("dst", dst), ("src", src), ("wgt", wgt)):
        values = np.asarray(values, np.int64)
        f = layout.fields[name]
        if values.size and (values.min() < 0 or values.max() >> f.width):
            layout.encode(**{name: int(values.max() if values.min() >= 0 else values.min())})  # raises, and says why
        words |= (values << f.offset).astype(np.uint32)
    return words


def decode_micro_ops(words: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dst, src, wgt) of uint32 [n], each int64 [n]."""
    words = np.asarray(words).astype(np.int64)
    return tuple(words >> f.offset & (1 << f.width) - 1 for f in micro_op_layout(config).fields.values())


@dataclass
class RawProgram:
    """A stream and the DRAM around it, before and (if known) after: the format of the conformance vectors.

    All base registers are 0: byte address = dram_base of an instruction x bytes of an element.
    """

    name: str
    config: Config
    insns: np.ndarray  # uint8 [n, 16]
    insn_address: int
    dram_base: int  # byte address of dram_before[0]
    dram_before: np.ndarray  # uint8 [m]
    dram_after: np.ndarray | None = None  # uint8 [m]

    @classmethod
    def load(cls, path: Path, config: Config) -> "RawProgram":
        """Reads an .npz; WeftError where it is not such a file."""
        try:
            with np.load(path) as arrays:
                after = arrays["dram_after"] if "dram_after" in arrays else None
                insns = arrays["insns"]
                if insns.dtype != np.uint8 or insns.ndim != 2 or insns.shape[1] != INSTRUCTION_BYTES:
                    raise ValueError(f"insns is {insns.dtype} {list(insns.shape)}, not uint8 [n, {INSTRUCTION_BYTES}]")
                return cls(Path(path).stem, config, insns, int(arrays["insn_phys"]), int(arrays["dram_base"]),
                           arrays["dram_before"], after)
        except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise WeftError(f"raw program {path}", "a raw program is an .npz with insns, insn_phys, dram_base and dram_before",
                            f"{type(error).__name__}: {error}", "a file in the format of tests/vectors/README.md")

    def save(self, path: Path):
        """Writes beside and renames."""
        from .files import write_atomically

        arrays = {"insns": self.insns, "insn_phys": self.insn_address, "insn_count": len(self.insns),
                  "dram_base": self.dram_base, "dram_before": self.dram_before}
        if self.dram_after is not None:
            arrays["dram_after"] = self.dram_after
        write_atomically(path, lambda file: np.savez_compressed(file, **arrays))
