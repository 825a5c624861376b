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
        left = Signal(16, reset_less=True)
        beat_bits = exact_log2(self.config.bus_bits // 8)
        # bytes of a row; what of an address is within a beat
        size, within = Signal(32, reset_less=True), Signal(beat_bits, reset_less=True)
        beats = (size + (address[:beat_bits] & within) + ((1 << beat_bits) - 1)) >> beat_bits
        stride = Signal(ADDRESS_BITS, reset_less=True)
        m.d.comb += [self.rows.valid.eq(self.busy), self.rows.p.beats.eq(beats[:ROW_BITS]),
                     self.rows.p.address.eq(address[exact_log2(self.config.bus_bits // 8):])]
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += [left.eq(left - 1), self.busy.eq(left != 1), address.eq(address + stride)]
        with m.If(self.begin):
            m.d.sync += [address.eq(self.command.address), left.eq(self.command.y_size),
                         size.eq(choose(self.command.kind,
                                        [self.command.x_size << shape.element_bits for shape in self.shapes])),
                         within.eq(choose(self.command.kind, [shape.slot_bytes for shape in self.shapes])),
                         stride.eq(choose(self.command.kind,
                                          [self.command.x_stride << shape.element_bits for shape in self.shapes])),
                         self.busy.eq(self.command.wide & self.command.high)]
        return m


class Unpacker(wiring.Component):
    """Walks the block that a LOAD fills, an element or a beat a cycle, and takes beats where there is no padding.

    What the element at hand is, in padding or a row's last, stands in registers that are set as the one before it goes.

    Members
    -------
    begin: a command stands in `command`; only while `ready`. It runs from the third cycle after.
    write: into the scratchpads. done: the last of a command is written; push_next is its token, index its index.
    busy: there is a command.
    """

    def __init__(self, config, shapes):
        self.config, self.shapes = config, shapes
        super().__init__({"begin": In(1), "command": In(command), "ready": Out(1),
                          "beats": In(stream.Signature(config.bus_bits)), "write": Out(write_signature(config)),
                          "done": Out(1), "push_next": Out(1), "index": Out(4), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        shapes = self.shapes
        command = keep(m, self.begin, self.command, "held")
        # works: it runs and is not empty
        running, works, empty, begun = Signal(), Signal(), Signal(reset_less=True), Signal(2)
        address = Signal(16, reset_less=True)
        slot_bits = exact_log2(max(shape.slots for shape in shapes))
        slot, row_slot = Signal(slot_bits, reset_less=True), Signal(slot_bits, reset_less=True)
        wrap, deep = Signal(slot_bits, reset_less=True), Signal(reset_less=True)  # the last slot of a beat
        # at_once: all parts of it
        padding, at_once, element, moved = Signal(reset_less=True), Signal(reset_less=True), Signal(), Signal()
        x = self._axis(m, "x", begun, element, command.x_pad_0, command.x_size, command.x_pad_1)
        y = self._axis(m, "y", begun, element & x.last, command.y_pad_0, command.y_size, command.y_pad_1)
        part, last_part = self._parts(m, begun[1], moved & ~at_once, command)
        last = Signal()
        m.d.comb += [
            last.eq(at_once | last_part), moved.eq(works & (padding | self.beats.valid)),
            element.eq(works & (at_once | last_part & (padding | self.beats.valid))),
            self.beats.ready.eq(works & ~padding & ((slot == wrap) | x.ends)),
            self.done.eq(running & ~works | element & x.last & y.last), self.busy.eq(running | begun.any()),
            self.ready.eq(~self.busy), self.push_next.eq(self.done & command.push_next), self.index.eq(command.index),
            self.write.valid.eq(moved), self.write.kind.eq(command.kind), self.write.address.eq(address),
            self.write.part.eq(part), self.write.every.eq(at_once), self.write.last.eq(last),
            self.write.data.eq(Mux(padding, choose(command.kind, [self._padding(command, shape) for shape in shapes]),
                                   choose(command.kind, [self._aligned(shape, slot) for shape in shapes]))),
        ]
        if slot_bits:
            with m.If(moved & ~at_once & (wrap != 0)):
                m.d.sync += slot.eq((slot + 1) & wrap)
        with m.If(element):
            outside = ~Mux(x.last, x.first_inside & y.next_inside, x.next_inside & y.inside)
            m.d.sync += [padding.eq(outside), at_once.eq(outside & ~deep), address.eq(address + 1)]
            with m.If(x.last & y.begun):
                m.d.sync += [slot.eq(row_slot), row_slot.eq((row_slot + command.x_stride) & wrap)]
        with m.If(self.done):
            m.d.sync += [running.eq(0), works.eq(0)]
        m.d.sync += begun.eq(Cat(self.begin, begun))
        with m.If(self.begin):
            new = self.command
            m.d.sync += [slot.eq(choose(new.kind, [shape.first_slot(new.address) for shape in shapes])),
                         address.eq(new.sram), wrap.eq(choose(new.kind, [shape.slots - 1 for shape in shapes])),
                         deep.eq(choose(new.kind, [Const(shape.deep) for shape in shapes])),
                         empty.eq(~new.wide | ~new.high & (new.y_pad_0 == 0) & (new.y_pad_1 == 0))]
        with m.If(begun[1]):
            outside = ~(x.starts_inside & y.starts_inside)
            m.d.sync += [running.eq(1), padding.eq(outside), at_once.eq(outside & ~deep), works.eq(~empty),
                         row_slot.eq((slot + command.x_stride) & wrap)]
        return m

    def _axis(self, m, name, begun, moves, before, size, behind):
        """Where the element at hand is in its row, or the row in the block: `inside` what is not padding, the `last`, the
        last that is inside (`ends`), and not in the padding before (`begun`)."""
        at = {what: Signal(17, reset_less=True, name=f"{name}_{what}") for what in ("next", "size", "last", "end", "final")}
        is_ = SimpleNamespace(**{what: Signal(reset_less=True, name=f"{name}_is_{what}")
                                 for what in ("inside", "last", "ends", "begun")})
        first = SimpleNamespace(**{what: Signal(reset_less=True, name=f"{name}_first_{what}")
                                   for what in ("inside", "last", "ends", "begun")})
        next_inside, starts_inside = Signal(name=f"{name}_next_inside"), Signal(name=f"{name}_starts_inside")
        m.d.comb += [starts_inside.eq((before == 0) & (size != 0)),
                     next_inside.eq(Mux(is_.last, first.inside, (at["next"] >= before) & (at["next"] < at["end"])))]
        with m.If(moves):
            m.d.sync += [is_.inside.eq(next_inside), is_.last.eq(at["next"] == at["last"]),
                         is_.ends.eq(at["next"] == at["final"]), is_.begun.eq(at["next"] >= before),
                         at["next"].eq(at["next"] + 1)]
            with m.If(is_.last):
                m.d.sync += [mine.eq(its) for mine, its in zip(vars(is_).values(), vars(first).values())]
                m.d.sync += at["next"].eq(1)
        with m.If(begun[0]):
            m.d.sync += [at["end"].eq(before + size), at["size"].eq(before + size + behind)]
        with m.If(begun[1]):
            start = {"inside": starts_inside, "last": at["size"] == 1, "ends": at["end"] == 1, "begun": before == 0}
            for flags in (is_, first):
                m.d.sync += [getattr(flags, what).eq(value) for what, value in start.items()]
            m.d.sync += [at["next"].eq(1), at["last"].eq(at["size"] - 1), at["final"].eq(at["end"] - 1)]
        return SimpleNamespace(**vars(is_), next_inside=next_inside, first_inside=first.inside, starts_inside=starts_inside)

    def _parts(self, m, begun, moves, command):
        """(the part of an element that the beat at hand is, whether it is the last)."""
        part, last, single, before = (Signal(8, reset_less=True, name="part"), Signal(reset_less=True, name="last_part"),
                                      Signal(reset_less=True, name="single_part"),
                                      Signal(8, reset_less=True, name="part_before_last"))
        with m.If(moves):
            m.d.sync += [part.eq(Mux(last, 0, part + 1)), last.eq(Mux(last, single, part == before))]
        with m.If(begun):
            parts = [shape.parts for shape in self.shapes]
            one = choose(command.kind, [Const(int(count == 1)) for count in parts])
            m.d.sync += [part.eq(0), last.eq(one), single.eq(one),
                         before.eq(choose(command.kind, [(count - 2) % 256 for count in parts]))]
        return part, last

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
    write, done, push_next, index: as of Unpacker, two cycles later, and decoded. idle: nothing is under way.
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
        done, push_next, index = Signal(), Signal(), Signal.like(self.index, reset_less=True)
        # a command waits for the unpacker, which takes none in the cycle in which it is done
        waiting, take = Signal(), Signal()
        next_command = keep(m, self.begin, self.command, "next")
        m.d.comb += [
            take.eq(waiting & unpacker.ready), self.ready.eq(~walker.busy & ~waiting),
            walker.begin.eq(self.begin), unpacker.begin.eq(take),
            splitter.release.eq(self.memory.beats.valid & self.memory.beats.ready),
            self.idle.eq(~unpacker.busy & ~waiting),
        ]
        m.d.comb += [getattr(walker.command, name).eq(getattr(self.command, name)) for name in COMMAND]
        m.d.comb += [getattr(unpacker.command, name).eq(getattr(next_command, name)) for name in COMMAND]
        with m.If(take):
            m.d.sync += waiting.eq(0)
        with m.If(self.begin):
            m.d.sync += waiting.eq(1)
        m.d.sync += [done.eq(unpacker.done), push_next.eq(unpacker.push_next), self.done.eq(done),
                     self.push_next.eq(push_next)]
        m.d.sync += [index.eq(unpacker.index), self.index.eq(index)]
        self._decode(m, self._register(m, unpacker.write))
        wiring.connect(m, walker.rows, splitter.rows)
        wiring.connect(m, splitter.bursts, wiring.flipped(self.memory.bursts))
        wiring.connect(m, wiring.flipped(self.memory.beats), unpacker.beats)
        return m

    def _register(self, m, write):
        """What is written, a cycle later."""
        valid, names = Signal(name="written_valid"), ("kind", "address", "part", "every", "last", "data")
        later = {name: Signal.like(getattr(write, name), name=f"written_{name}", reset_less=True) for name in names}
        m.d.sync += valid.eq(write.valid)
        with m.If(write.valid):
            m.d.sync += [register.eq(getattr(write, name)) for name, register in later.items()]
        return SimpleNamespace(valid=valid, **later)

    def _decode(self, m, write):
        """Another cycle later, decoded: these registers spread over the memories."""
        given = self._register(m, write)
        into, reached = Signal(KINDS), Signal(len(self.write.reached), reset_less=True)
        m.d.sync += into.eq(Cat(write.valid & (write.kind == kind) for kind in range(len(self.memories))))
        with m.If(write.valid):
            m.d.sync += reached.eq(Cat(write.every | (write.part == part) for part in range(len(reached))))
        m.d.comb += [self.write.into.eq(into), self.write.reached.eq(reached),
                     *(getattr(self.write, name).eq(register) for name, register in vars(given).items())]


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
