"""The second half of a LOAD: where the beats and the padding go in a scratchpad."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .blocks import choose, command, keep, write_signature


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
