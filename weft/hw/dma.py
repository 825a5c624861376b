"""A LOAD's two halves: which rows of DRAM to ask for, and where the beats and the padding go in a scratchpad.

The first half runs ahead of the second, into the next LOAD, so that the memory's latency is paid once.
"""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import MEMORIES, Config, Memory, Opcode

from .axi import ADDRESS_BITS
from .bursts import ROW_BITS, BurstSplitter, row_layout
from .layouts import view
from .memory_read import read_client

READ_AHEAD = 128  # beats on their way for a client; covers the memory's latency
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

    def row_beats(self, address, elements):
        """Beats that a row of so many elements from that byte address touches."""
        if self.slots == 1:
            return elements << exact_log2(self.parts)
        return (self.first_slot(address) + elements + (self.slots - 1)) >> exact_log2(self.slots)


COMMAND = {"kind": 3, "address": ADDRESS_BITS, "sram": 16, "x_size": 16, "y_size": 16, "x_stride": 16, "x_pad_0": 4,
           "x_pad_1": 4, "y_pad_0": 4, "y_pad_1": 4, "pad_value": 8, "push_next": 1, "index": 4}
command = wiring.Signature({name: Out(width) for name, width in COMMAND.items()})
"""A LOAD or STORE as a DMA unit wants it: the byte address is complete; the token to push, and an index that means nothing here,
come along.

Commands and writes are not one wide word: what computes with 64 bits at a time works on the members it needs only."""


def write_signature(config) -> wiring.Signature:
    """Into a scratchpad: a part of element `address`, or with `every` all of its parts alike; `last`: that completes it."""
    return wiring.Signature({"valid": Out(1), "kind": Out(3), "address": Out(16), "part": Out(8), "every": Out(1),
                             "last": Out(1), "data": Out(config.bus_bits)})


def keep(m, condition, source, name):
    """Registers that hold `source`, a command, from the cycle of `condition` on."""
    held = {field: Signal(width, name=f"{name}_{field}", reset_less=True) for field, width in COMMAND.items()}
    with m.If(condition):
        m.d.sync += [register.eq(getattr(source, field)) for field, register in held.items()]
    return SimpleNamespace(**held)


class RowWalker(wiring.Component):
    """The rows of a block in DRAM: one a cycle.

    Members
    -------
    begin: a command stands in `command` (its kind is an index into `shapes`). busy: rows are left.
    """

    def __init__(self, config, shapes):
        self.config, self.shapes = config, shapes
        super().__init__({"begin": In(1), "command": In(command), "busy": Out(1),
                          "rows": Out(stream.Signature(row_layout(config)))})

    def elaborate(self, platform):
        m = Module()
        command = keep(m, self.begin, self.command, "held")
        address = Signal(ADDRESS_BITS, reset_less=True)
        left = Signal(16)
        beats = choose(command.kind, [shape.row_beats(address, command.x_size) for shape in self.shapes])
        stride = choose(command.kind, [command.x_stride << shape.element_bits for shape in self.shapes])
        m.d.comb += [self.busy.eq(left != 0), self.rows.valid.eq(left != 0), self.rows.p.beats.eq(beats[:ROW_BITS]),
                     self.rows.p.address.eq(address[exact_log2(self.config.bus_bits // 8):])]
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += [left.eq(left - 1), address.eq(address + stride)]
        with m.If(self.begin):
            m.d.sync += [address.eq(self.command.address),
                         left.eq(Mux(self.command.x_size == 0, 0, self.command.y_size))]
        return m


class Unpacker(wiring.Component):
    """Walks the block that a LOAD fills, an element or a beat a cycle, and takes beats where there is no padding.

    Members
    -------
    begin: a command stands in `command`; only while `ready`.
    write: into the scratchpads. done: the last of a command is written; push_next is its token, index its index.
    """

    def __init__(self, config, shapes):
        self.config, self.shapes = config, shapes
        super().__init__({"begin": In(1), "command": In(command), "ready": Out(1),
                          "beats": In(stream.Signature(config.bus_bits)), "write": Out(write_signature(config)),
                          "done": Out(1), "push_next": Out(1), "index": Out(4), "running": Out(1)})

    def elaborate(self, platform):
        m = Module()
        shapes = self.shapes
        command = keep(m, self.begin, self.command, "held")
        running, empty = self.running, Signal(reset_less=True)
        x, y = Signal(17, reset_less=True), Signal(17, reset_less=True)
        part, address = Signal(8, reset_less=True), Signal(16, reset_less=True)
        slot_bits = exact_log2(max(shape.slots for shape in shapes))
        slot, row_slot = Signal(slot_bits, reset_less=True), Signal(slot_bits, reset_less=True)

        width, height = Signal(17, reset_less=True), Signal(17, reset_less=True)
        x_end, y_end = Signal(17, reset_less=True), Signal(17, reset_less=True)  # of what is not padding
        padding, at_once, element, moved, taken = Signal(), Signal(), Signal(), Signal(), Signal()
        last_x, last_y, last_part = Signal(), Signal(), Signal()
        m.d.comb += [
            padding.eq((y < command.y_pad_0) | (y >= y_end) | (x < command.x_pad_0) | (x >= x_end)),
            at_once.eq(padding & ~choose(command.kind, [Const(shape.deep) for shape in shapes])),
            last_part.eq(at_once | (part == choose(command.kind, [shape.parts - 1 for shape in shapes]))),
            last_x.eq(x + 1 == width), last_y.eq(y + 1 == height),
            moved.eq(running & ~empty & (padding | self.beats.valid)),
            element.eq(moved & last_part),
            taken.eq((slot == choose(command.kind, [shape.slots - 1 for shape in shapes])) | (x + 1 == x_end)),
            self.beats.ready.eq(running & ~empty & ~padding & taken),
            self.done.eq(running & (empty | element & last_x & last_y)),
            self.ready.eq(~running | self.done),
            self.push_next.eq(self.done & command.push_next), self.index.eq(command.index),
            self.write.valid.eq(moved), self.write.kind.eq(command.kind), self.write.address.eq(address),
            self.write.part.eq(part), self.write.every.eq(at_once), self.write.last.eq(last_part),
            self.write.data.eq(Mux(padding, choose(command.kind, [self._padding(command, shape) for shape in shapes]),
                                   choose(command.kind, [self._aligned(shape, slot) for shape in shapes]))),
        ]
        with m.If(moved & ~at_once):
            m.d.sync += part.eq(Mux(last_part, 0, part + 1))
            if slot_bits:
                narrow = choose(command.kind, [int(shape.slots > 1) for shape in shapes])
                wrap = choose(command.kind, [shape.slots - 1 for shape in shapes])
                with m.If(narrow):
                    m.d.sync += slot.eq((slot + 1) & wrap)
        with m.If(element):
            m.d.sync += [address.eq(address + 1), x.eq(x + 1)]
            with m.If(last_x):
                m.d.sync += [x.eq(0), y.eq(y + 1)]
                with m.If(y >= command.y_pad_0):
                    m.d.sync += [slot.eq(row_slot), row_slot.eq(self._next_slot(row_slot, command))]
        with m.If(self.done):
            m.d.sync += running.eq(0)
        with m.If(self.begin):
            new = self.command
            first = choose(new.kind, [shape.first_slot(new.address) for shape in shapes])
            m.d.sync += [
                running.eq(1), x.eq(0), y.eq(0), part.eq(0), address.eq(new.sram),
                width.eq(new.x_pad_0 + new.x_size + new.x_pad_1), height.eq(new.y_pad_0 + new.y_size + new.y_pad_1),
                x_end.eq(new.x_pad_0 + new.x_size), y_end.eq(new.y_pad_0 + new.y_size),
                empty.eq((new.x_size == 0) | (new.y_size == 0) & (new.y_pad_0 == 0) & (new.y_pad_1 == 0)),
                slot.eq(first), row_slot.eq(self._next_slot(first, new)),
            ]
        return m

    def _next_slot(self, slot, command):
        """Where the next row begins in its beat, from where this one began."""
        wrap = choose(command.kind, [shape.slots - 1 for shape in self.shapes])
        return (slot + command.x_stride) & wrap

    def _padding(self, command, shape):
        """A beat of padding: every lane of it is the pad value, sign-extended."""
        width = shape.info.lane_bits if shape.memory != Memory.ACC_8BIT else 8  # those are extended on the way in
        lane = Cat(command.pad_value, command.pad_value[-1].replicate(width - 8))
        return lane.replicate(self.config.bus_bits // width)

    def _aligned(self, shape, slot):
        """The beat with the element at `slot` moved to its low end."""
        if shape.slots == 1:
            return self.beats.payload
        return self.beats.payload >> (slot[:exact_log2(shape.slots)] << exact_log2(shape.bytes * 8))


class LoadDma(wiring.Component):
    """Runs LOAD commands in order. `memories` are the ones it fills; a command's kind is an index into them.

    Members
    -------
    begin: a command stands in `command`; only while `ready`. memory: `read_client`.
    write, done, push_next, index: as of Unpacker, a cycle later. idle: nothing is under way.
    """

    def __init__(self, config, memories: tuple[Memory, ...]):
        self.config, self.memories = config, memories
        self.shapes = [Shape(config, memory) for memory in memories]
        super().__init__({"command": In(command), "begin": In(1), "ready": Out(1), "memory": Out(read_client(config)),
                          "write": Out(write_signature(config)), "done": Out(1), "push_next": Out(1), "index": Out(4),
                          "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = RowWalker(self.config, self.shapes)
        m.submodules.splitter = splitter = BurstSplitter(self.config, READ_AHEAD)
        m.submodules.unpacker = unpacker = Unpacker(self.config, self.shapes)
        waiting, take = Signal(), Signal()  # a command waits for the unpacker
        next_command = keep(m, self.begin, self.command, "next")
        m.d.comb += [
            take.eq(waiting & unpacker.ready), self.ready.eq(~walker.busy & (~waiting | take)),
            walker.begin.eq(self.begin), unpacker.begin.eq(take),
            splitter.release.eq(self.memory.beats.valid & self.memory.beats.ready),
            self.idle.eq(~unpacker.running & ~waiting),
        ]
        m.d.comb += [getattr(walker.command, name).eq(getattr(self.command, name)) for name in COMMAND]
        m.d.comb += [getattr(unpacker.command, name).eq(getattr(next_command, name)) for name in COMMAND]
        with m.If(take):
            m.d.sync += waiting.eq(0)
        with m.If(self.begin):
            m.d.sync += waiting.eq(1)
        m.d.sync += [self.done.eq(unpacker.done), self.push_next.eq(unpacker.push_next), self.index.eq(unpacker.index),
                     self.write.valid.eq(unpacker.write.valid)]
        write = {name: Signal.like(getattr(unpacker.write, name), name=f"write_{name}", reset_less=True)
                 for name in ("kind", "address", "part", "every", "last", "data")}
        with m.If(unpacker.write.valid):
            m.d.sync += [register.eq(getattr(unpacker.write, name)) for name, register in write.items()]
        m.d.comb += [getattr(self.write, name).eq(register) for name, register in write.items()]
        wiring.connect(m, walker.rows, splitter.rows)
        wiring.connect(m, splitter.bursts, wiring.flipped(self.memory.bursts))
        wiring.connect(m, wiring.flipped(self.memory.beats), unpacker.beats)
        return m


def fill_command(m, command, config, memories, word, bases):
    """Drives `command` from a LOAD, LOAD_PAD or STORE in `word`; its kind is the index in `memories`.

    `bases`: the base registers' signals by name of the scratchpad.
    """
    plain, padded = view(config, Opcode.LOAD, word), view(config, Opcode.LOAD_PAD, word)
    has_value = plain.opcode == Opcode.LOAD_PAD
    dram_base = Mux(has_value, padded.dram_base, plain.dram_base)
    m.d.comb += [command.sram.eq(plain.sram_base), command.pad_value.eq(Mux(has_value, padded.pad_value, 0))]
    m.d.comb += [getattr(command, name).eq(getattr(plain, name)) for name in COPIED]
    with m.Switch(plain.memory_type):
        for index, memory in enumerate(memories):
            with m.Case(memory):
                shape = Shape(config, memory)
                m.d.comb += [command.kind.eq(index),
                             command.address.eq(bases[shape.info.buffer] + (dram_base << shape.element_bits))]
