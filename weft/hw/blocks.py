"""What a LOAD or STORE says of the block that it moves, and how the elements of a memory lie in beats."""

from types import SimpleNamespace

from amaranth import Const, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from weft.isa import MEMORIES, Config, Memory, Opcode

from .axi import ADDRESS_BITS
from .layouts import view

FILLED = 2  # cycles from when a word is there until its command is
KINDS = 5  # memories that a module fills, at most
COPIED = ("x_size", "y_size", "x_stride", "x_pad_0", "x_pad_1", "y_pad_0", "y_pad_1", "push_next")


def choose(index, values):
    """The one of `values` that a small index names; the last for an index beyond."""
    result = Value.cast(values[-1])
    for number, value in reversed(list(enumerate(values[:-1]))):
        result = Mux(index == number, value, result)
    return result


class Shape:
    """How the elements of a memory lie in beats: `parts` beats an element, or `slots` elements a beat; the other is 1."""

    def __init__(self, config: Config, memory: Memory):
        self.memory, self.info = memory, MEMORIES[memory]
        self.bytes, self.beat_bytes = self.info.dram_bytes(config), config.bus_bits // 8
        self.parts, self.slots = max(1, self.bytes // self.beat_bytes), max(1, self.beat_bytes // self.bytes)
        self.element_bits = exact_log2(self.bytes)  # address bits within an element
        self.deep = memory == Memory.LUT  # a part is a row of its memory; of the others all parts can be written at once

    def first_slot(self, address):
        """The slot at which the element at this byte address stands in its beat."""
        if self.slots == 1:
            return Const(0, 0)
        return address[self.element_bits:exact_log2(self.beat_bytes)]

    @property
    def slot_bytes(self):
        """The bits of an address that tell the slot; none of those within an element, and none where an element fills a
        beat."""
        return self.beat_bytes - self.bytes if self.slots > 1 else 0


COMMAND = {"kind": 3, "address": ADDRESS_BITS, "sram": 16, "x_size": 16, "y_size": 16, "x_stride": 16, "x_pad_0": 4,
           "x_pad_1": 4, "y_pad_0": 4, "y_pad_1": 4, "pad_value": 8, "push_next": 1, "index": 4, "wide": 1, "high": 1}
command = wiring.Signature({name: Out(width) for name, width in COMMAND.items()})
"""A LOAD or STORE as a DMA unit wants it: the byte address is complete; the token to push, and an index that means nothing
here, come along. `wide`, `high`: x_size and y_size are not 0.

Commands and writes are not one wide word: what computes with 64 bits at a time works on the members it needs only."""


def most_parts(config) -> int:
    """Parts of the elements that have the most, of those whose parts are not rows."""
    return max(shape.parts for shape in (Shape(config, memory) for memory in MEMORIES) if not shape.deep)


def write_signature(config) -> wiring.Signature:
    """Into a scratchpad: a part of element `address`, or with `every` all of its parts alike; `last`: that completes it.

    The same, decoded: `into`, a bit a kind: valid, and of that kind; `reached`, a bit a part: that one, or every. LoadDma
    has registers for each of them."""
    return wiring.Signature({"valid": Out(1), "kind": Out(3), "address": Out(16), "part": Out(8), "every": Out(1),
                             "last": Out(1), "data": Out(config.bus_bits), "into": Out(KINDS),
                             "reached": Out(most_parts(config))})


def keep(m, condition, source, name):
    """Registers that hold `source`, a command, from the cycle of `condition` on."""
    held = {field: Signal(width, name=f"{name}_{field}", reset_less=True) for field, width in COMMAND.items()}
    with m.If(condition):
        m.d.sync += [register.eq(getattr(source, field)) for field, register in held.items()]
    return SimpleNamespace(**held)


def fill_command(m, command, config, memories, word, bases, index=0):
    """Drives `command` from a LOAD, LOAD_PAD or STORE in `word`, FILLED cycles behind it; its kind is the index in
    `memories`.

    `bases`: the base registers' signals by name of the scratchpad.
    """
    plain, padded = view(config, Opcode.LOAD, word), view(config, Opcode.LOAD_PAD, word)
    has_value = plain.opcode == Opcode.LOAD_PAD
    dram_base = Mux(has_value, padded.dram_base, plain.dram_base)
    filled = {name: Signal(width, name=f"command_{name}", reset_less=True) for name, width in COMMAND.items()}
    base, offset = (Signal(ADDRESS_BITS, name=f"command_{name}", reset_less=True) for name in ("base", "offset"))
    m.d.sync += [filled["sram"].eq(plain.sram_base), filled["pad_value"].eq(Mux(has_value, padded.pad_value, 0)),
                 filled["address"].eq(base + offset), filled["index"].eq(index),
                 filled["wide"].eq(plain.x_size != 0), filled["high"].eq(plain.y_size != 0),
                 *(filled[name].eq(getattr(plain, name)) for name in COPIED)]
    with m.Switch(plain.memory_type):
        for number, memory in enumerate(memories):
            with m.Case(memory):
                shape = Shape(config, memory)
                m.d.sync += [filled["kind"].eq(number), base.eq(bases[shape.info.buffer]),
                             offset.eq(dram_base << shape.element_bits)]
    m.d.comb += [getattr(command, name).eq(register) for name, register in filled.items()]
