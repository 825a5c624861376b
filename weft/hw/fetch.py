"""Fetch: reads the stream ahead of its use and hands each instruction to its module's queue."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Module as Unit
from weft.isa.table import INSTRUCTION_BITS, INSTRUCTION_BYTES

from .axi import ADDRESS_BITS
from .bursts import BurstSplitter
from .instructions import unit_of
from .memory_read import read_client

BUFFER_BEATS = 64  # asked for or waiting to be handed out
FETCH_BURST = 16  # beats


class Fetch(wiring.Component):
    """Reads `count` instructions from byte `address` at `launch` (which waits until the last launch's are handed out).

    Members
    -------
    load, compute, store: streams of instructions. memory: `read_client`.
    clear: drops what was read and what is left to read. quiet: no beat is on its way.
    """

    def __init__(self, config):
        self.config = config
        queue = Out(stream.Signature(INSTRUCTION_BITS))
        super().__init__({"launch": In(1), "address": In(ADDRESS_BITS), "count": In(32), "clear": In(1), "quiet": Out(1),
                          "memory": Out(read_client(config)), "load": queue, "compute": queue, "store": queue})

    def elaborate(self, platform):
        m = Module()
        beat_bytes = self.config.bus_bits // 8
        reset = ResetInserter(self.clear)
        splitter = BurstSplitter(self.config, BUFFER_BEATS, FETCH_BURST)
        buffer = fifo.SyncFIFOBuffered(width=self.config.bus_bits, depth=BUFFER_BEATS)
        m.submodules.splitter, m.submodules.buffer = reset(splitter), reset(buffer)
        wiring.connect(m, splitter.bursts, wiring.flipped(self.memory.bursts))
        wiring.connect(m, wiring.flipped(self.memory.beats), buffer.w_stream)
        coming = Signal(range(BUFFER_BEATS + 1))
        bursts, comes = self.memory.bursts, self.memory.beats.valid & self.memory.beats.ready
        fires = bursts.valid & bursts.ready
        fired, came = Signal.like(bursts.p.beats), Signal()  # in the cycle before
        m.d.sync += [fired.eq(Mux(fires, bursts.p.beats, 0)), came.eq(comes), coming.eq(coming + fired - came),
                     self.quiet.eq((coming == 0) & (fired == 0) & ~fires)]

        # A launch waits in these registers until the stream before it is handed out.
        waiting, left, more = Signal(), Signal(32), Signal()  # more: left is not 0
        some = Signal(reset_less=True)  # of them are to be fetched
        m.d.sync += some.eq(self.count != 0)
        first = self.address[:exact_log2(beat_bytes)]
        beats = (first + (self.count << exact_log2(INSTRUCTION_BYTES)) + (beat_bytes - 1)) >> exact_log2(beat_bytes)
        begin = Signal()
        m.d.comb += [begin.eq(waiting & ~more & splitter.rows.ready),
                     splitter.rows.valid.eq(begin & some),
                     splitter.rows.p.address.eq(self.address[exact_log2(beat_bytes):]),
                     splitter.rows.p.beats.eq(beats)]
        with m.If(self.launch):
            m.d.sync += waiting.eq(1)

        # An instruction is put together, then it is found out where it goes, then it is handed out.
        whole, known, handed = Signal(), Signal(), Signal()
        word, unit = Signal(INSTRUCTION_BITS, reset_less=True), Signal(2, reset_less=True)
        taken = self._assemble(m, buffer, word, whole, more, first, begin, left)
        m.d.comb += [splitter.release.eq(taken), buffer.r_en.eq(taken)]
        with m.If(whole):
            m.d.sync += [unit.eq(unit_of(self.config, word)), known.eq(1)]
        for module, queue in ((Unit.LOAD, self.load), (Unit.COMPUTE, self.compute), (Unit.STORE, self.store)):
            m.d.comb += [queue.payload.eq(word), queue.valid.eq(known & (unit == module))]
            with m.If(unit == module):
                m.d.comb += handed.eq(known & queue.ready)
        with m.If(handed):
            m.d.sync += [left.eq(left - 1), more.eq(left != 1), whole.eq(0), known.eq(0)]
        with m.If(begin):
            m.d.sync += [waiting.eq(0), left.eq(self.count), more.eq(some)]
        with m.If(self.clear):
            m.d.sync += [waiting.eq(0), left.eq(0), more.eq(0), whole.eq(0), known.eq(0)]
        return m

    def _assemble(self, m, buffer, word, whole, more, first, begin, left):
        """Instructions out of beats: two beats an instruction, or several instructions a beat.

        Drives `word`, and sets `whole` as the last of it comes. Returns whether a beat leaves the buffer."""
        takes, taken = Signal(), Signal()
        beat_bits = self.config.bus_bits
        m.d.comb += takes.eq(buffer.r_rdy & more & ~whole)
        if beat_bits < INSTRUCTION_BITS:
            parts = INSTRUCTION_BITS // beat_bits
            part = Signal(range(parts))
            last = part == parts - 1
            m.d.comb += taken.eq(takes)
            with m.If(takes):
                m.d.sync += [word.eq(Cat(word, buffer.r_data)[beat_bits:]), part.eq(Mux(last, 0, part + 1)), whole.eq(last)]
            with m.If(begin):
                m.d.sync += part.eq(0)
        else:
            slots = beat_bits // INSTRUCTION_BITS
            slot = Signal(exact_log2(slots))
            m.d.comb += taken.eq(takes & ((slot == slots - 1) | (left == 1)))
            with m.If(takes):
                m.d.sync += [word.eq(buffer.r_data.word_select(slot, INSTRUCTION_BITS)), slot.eq(slot + 1), whole.eq(1)]
            with m.If(begin):
                m.d.sync += slot.eq(first >> exact_log2(INSTRUCTION_BYTES))
        return taken
