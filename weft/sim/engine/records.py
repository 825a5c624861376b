"""Streams as arrays: every field of every instruction an int32, and the tokens that it takes and gives as bits of queues."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from weft.isa import Config, Module, Opcode, decode
from weft.isa.happens_before import POPS, PUSHES
from weft.isa.table import INSTRUCTION_BYTES, INSTRUCTIONS, MEMORIES, layouts, module_of

TAKEN, GIVEN, MODULE = "taken", "given", "module"  # beside the fields of the table


@lru_cache
def columns() -> dict[str, int]:
    """Where each field stands in a record."""
    names = dict.fromkeys(bits.name for info in INSTRUCTIONS.values() for bits in info.fields if bits.name)
    return {name: k for k, name in enumerate([*names, TAKEN, GIVEN, MODULE])}


@lru_cache
def signed_fields() -> frozenset[str]:
    return frozenset(bits.name for info in INSTRUCTIONS.values() for bits in info.fields if bits.signed)


@dataclass(frozen=True)
class Stream:
    """A decoded stream.

    raw: uint8 [n, 16]. records: int32 [n, len(columns())]; dram_base is an unsigned number in it.
    queues: int32 [n], the instructions of load, then compute, then store, each in order.
    starts: where each of the three begins, and n.
    finish: index of the first FINISH, None without one.
    """

    config: Config
    raw: np.ndarray
    records: np.ndarray
    queues: np.ndarray
    starts: tuple[int, int, int, int]
    finish: int | None

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def modules(self) -> np.ndarray:
        """The Module of each instruction, int32 [n]."""
        return self.records[:, columns()[MODULE]]


def decode_stream(raw: np.ndarray, config: Config) -> Stream:
    """The records of uint8 [n, 16]. WeftError for an opcode that is none, as `isa.decode`."""
    raw = np.ascontiguousarray(raw, np.uint8).reshape(-1, INSTRUCTION_BYTES)
    words = raw.view("<u8")
    opcodes = (words[:, 0] & np.uint64(7)).astype(np.int32)
    if not np.isin(opcodes, [o.value for o in Opcode]).all():
        decode(raw, config)  # raises, and says which
    place = columns()
    records = np.zeros((len(raw), len(place)), np.int32)
    for opcode, layout in layouts(config).items():
        rows = np.flatnonzero(opcodes == opcode)
        for field in layout.fields.values():
            records[rows, place[field.name]] = _extract(words[rows], field)
    records[:, place[MODULE]] = _modules()[opcodes, records[:, place["memory_type"]]]
    for column, table in ((TAKEN, POPS), (GIVEN, PUSHES)):
        for module, flags in table.items():
            for flag, queue in flags.items():
                records[:, place[column]] |= (records[:, place[MODULE]] == module) * records[:, place[flag]] << queue
    modules = records[:, place[MODULE]]
    queues = np.argsort(modules, kind="stable").astype(np.int32)
    starts = (0, *np.cumsum(np.bincount(modules, minlength=len(Module))).tolist())
    finish = np.flatnonzero(opcodes == Opcode.FINISH)
    return Stream(config, raw, records, queues, starts, int(finish[0]) if finish.size else None)


def _extract(words: np.ndarray, field) -> np.ndarray:
    """A field of uint64 [n, 2] as int32 [n]."""
    values = words[:, field.offset // 64] >> np.uint64(field.offset % 64) & np.uint64((1 << field.width) - 1)
    values = values.astype(np.int64)
    if field.signed:
        values -= (values >> field.width - 1) << field.width
    return values.astype(np.uint32).view(np.int32)


@lru_cache
def _modules() -> np.ndarray:
    """Module by opcode and memory_type."""
    table = np.zeros((8, 8), np.int32)
    for opcode in Opcode:
        for memory in MEMORIES:
            table[opcode, memory] = module_of(opcode, memory)
    return table
