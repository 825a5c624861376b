"""LUT: tables of 256 int8, one copy for each lane, so that all lanes look up at once."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .blocks import Shape, write_signature
from .requant import LATENCY

WORD_BITS = 64
ENTRY_BITS = 8


class Tables(wiring.Component):
    """result = entry `x` of table `table`, LATENCY cycles later: as long as requantisation takes, so that order is kept. It
    is 0 when none was looked up.

    Members
    -------
    write: of a DMA whose kind for LUT is `kind`. enables: a bit a stage that a step is in. x: the number of an entry, a
    lane.
    """

    def __init__(self, config, kind: int):
        self.config, self.kind = config, kind
        lanes = config.batch * config.block_out
        super().__init__({"write": In(write_signature(config)), "enables": In(LATENCY),
                          "table": In(exact_log2(config.lut_depth)),
                          "x": In(ENTRY_BITS).array(lanes), "result": Out(ENTRY_BITS).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        shape, beat_bits = Shape(self.config, Memory.LUT), exact_log2(self.config.bus_bits // ENTRY_BITS)
        chosen, table = Signal(), Signal.like(self.table, reset_less=True)
        row = Cat(self.write.part[:exact_log2(shape.parts)], self.write.address[:len(self.table)])
        m.d.comb += chosen.eq(self.write.into[self.kind])
        with m.If(self.enables[0]):
            m.d.sync += table.eq(self.table)
        for lane, (x, result) in enumerate(zip(self.x, self.result)):
            asked = Signal(ENTRY_BITS, name=f"asked_{lane}", reset_less=True)
            entry = Signal(beat_bits, name=f"entry_{lane}", reset_less=True)  # of the beat that is read
            words = [self._word(m, lane, index, chosen, row, Cat(asked[beat_bits:], table))
                     for index in range(self.config.bus_bits // WORD_BITS)]
            beat = [Signal(WORD_BITS, name=f"beat_{lane}_{index}", reset_less=True) for index in range(len(words))]
            chosen_entry = Signal(beat_bits, name=f"chosen_entry_{lane}", reset_less=True)
            found = [Signal(ENTRY_BITS, name=f"found_{lane}_{stage}", reset_less=True) for stage in range(3, LATENCY)]
            with m.If(self.enables[0]):
                m.d.sync += asked.eq(x)
            with m.If(self.enables[1]):
                m.d.sync += entry.eq(asked)
            with m.If(self.enables[2]):
                m.d.sync += [chosen_entry.eq(entry), *(mine.eq(its) for mine, its in zip(beat, words))]
            for stage, before, after in zip(range(3, LATENCY), [Cat(beat) >> Cat(Const(0, 3), chosen_entry), *found], found):
                with m.If(self.enables[stage]):
                    m.d.sync += after.eq(before)
            with m.If(~self.enables[-1]):
                m.d.sync += found[-1].eq(0)
            m.d.comb += result.eq(found[-1])
        return m

    def _word(self, m, lane, index, chosen, row, asked):
        """A memory of part of the beats of one lane's tables; returns what it reads."""
        depth = self.config.lut_buffer * ENTRY_BITS // self.config.bus_bits
        m.submodules[f"lane_{lane}_word_{index}"] = storage = memory.Memory(shape=WORD_BITS, depth=depth, init=[])
        write, read = storage.write_port(), storage.read_port()
        m.d.comb += [write.addr.eq(row), write.en.eq(chosen), write.data.eq(self.write.data.word_select(index, WORD_BITS)),
                     read.addr.eq(asked), read.en.eq(self.enables[1])]
        return read.data
