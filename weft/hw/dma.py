"""A LOAD's two halves: which rows of DRAM to ask for, and where the beats and the padding go in a scratchpad.

The first half runs ahead of the second, into the next LOAD, so that the memory's latency is paid once.
"""

from types import SimpleNamespace

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .axi import ADDRESS_BITS
from .blocks import COMMAND, KINDS, Shape, choose, command, keep, write_signature
from .bursts import ROW_BITS, BurstSplitter, row_layout
from .memory_read import read_client
from .unpack import Unpacker

READ_AHEAD = 128  # beats on their way for a client; covers the memory's latency


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
        keep(m, self.begin, self.command, "held")  # so that all members have a reader: linters ask for one
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
