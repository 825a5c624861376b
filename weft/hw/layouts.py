"""The instruction set's bit layouts as Amaranth data layouts: the hardware's view of weft.isa's one table."""

from functools import lru_cache

from amaranth import signed, unsigned
from amaranth.lib import data

from weft.isa import Config, Opcode
from weft.isa.fields import Layout
from weft.isa.table import layouts, micro_op_layout


def struct_layout(layout: Layout) -> data.StructLayout:
    """The same word as a struct. Bits that no field names become members `free_0`, `free_1`, ... so that the sizes agree."""
    members, offset, free = {}, 0, 0
    for field in sorted(layout.fields.values(), key=lambda f: f.offset):
        if field.offset > offset:
            members[f"free_{free}"], free = unsigned(field.offset - offset), free + 1
        members[field.name] = signed(field.width) if field.signed else unsigned(field.width)
        offset = field.offset + field.width
    if offset < layout.size:
        members[f"free_{free}"] = unsigned(layout.size - offset)
    return data.StructLayout(members)


@lru_cache
def instruction_layouts(config: Config) -> dict[Opcode, data.StructLayout]:
    """The layout of every instruction, 128 bits each."""
    return {opcode: struct_layout(layout) for opcode, layout in layouts(config).items()}


@lru_cache
def micro_op(config: Config) -> data.StructLayout:
    """The layout of a micro-op, 32 bits."""
    return struct_layout(micro_op_layout(config))


def view(config: Config, opcode: Opcode, word) -> data.View:
    """`word` (128 bits) read as that instruction."""
    return data.View(instruction_layouts(config)[opcode], word)
