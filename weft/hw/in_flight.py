"""Instructions of the compute module that have begun and not ended, in program order.

They begin in order and end in order; between, those of different engines run beside one another. An instruction waits for
the older ones of other engines that use what it uses; within an engine order is kept anyway. So the meaning stays
sequential.
"""

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .steps import ENTRIES, ENTRY_BITS, HEAD, Engine

DONE = wiring.Signature({"valid": Out(1), "index": Out(ENTRY_BITS)})
ENGINES = ("multiply", "alu", "load")


class InFlight(wiring.Component):
    """A ring of entries, one for each instruction.

    Members
    -------
    give: the instruction `head`, which was there in the cycle before too, begins and takes entry `index`; only while
    `space`, and no two in cycles that follow one another. waits_for: entries that it must wait for. multiply, alu, load: an
    engine does an entry's last write; it counts as done in the next cycle. still: entries that are not done.
    end: the instruction ends that was the oldest in the cycle before, with these tokens, and `finish`; one a cycle, in
    order.
    """

    def __init__(self):
        super().__init__({"space": Out(1), "give": In(1), "head": In(HEAD), "index": Out(ENTRY_BITS),
                          "waits_for": Out(ENTRIES),
                          **{name: In(DONE) for name in ENGINES}, "still": Out(ENTRIES), "end": Out(1), "push_prev": Out(1),
                          "push_next": Out(1), "finish": Out(1), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(ENTRIES + 1))
        oldest, newest = Signal(ENTRIES, init=1), Signal(ENTRY_BITS)  # oldest: a bit an entry
        engines = [Signal(2, name=f"engine_{k}", reset_less=True) for k in range(ENTRIES)]
        uses = [Signal.like(self.head.uses, name=f"uses_{k}", reset_less=True) for k in range(ENTRIES)]
        tokens = [Signal(3, name=f"tokens_{k}", reset_less=True) for k in range(ENTRIES)]
        ends, dones = Signal(), [getattr(self, name) for name in ENGINES]
        for k in range(ENTRIES):
            writes = 0
            for each in dones:
                writes = writes | each.valid & (each.index == k)
            with m.If(writes):
                m.d.sync += self.still[k].eq(0)
            meets = Signal(name=f"meets_{k}", reset_less=True)  # known a cycle ahead
            m.d.sync += meets.eq((uses[k] & self.head.uses).any() & (engines[k] != self.head.engine))
            m.d.comb += self.waits_for[k].eq(self.still[k] & meets)
        m.d.comb += [self.space.eq(~count[ENTRY_BITS]), self.index.eq(newest), self.busy.eq((count != 0) | self.end),
                     ends.eq((count != 0) & ~(self.still & oldest).any())]
        told = [(Cat(token[k] for token in tokens) & oldest).any() for k in range(3)]
        m.d.sync += self.end.eq(ends)
        m.d.sync += [output.eq(ends & told[k]) for k, output in enumerate((self.push_prev, self.push_next, self.finish))]
        with m.If(self.give):
            m.d.sync += [newest.eq(newest + 1), self.still.bit_select(newest, 1).eq(self.head.engine != Engine.NONE)]
            with m.Switch(newest):
                for k in range(ENTRIES):
                    with m.Case(k):
                        m.d.sync += [engines[k].eq(self.head.engine), uses[k].eq(self.head.uses),
                                     tokens[k][0].eq(self.head.push_prev),
                                     tokens[k][1].eq(self.head.push_next), tokens[k][2].eq(self.head.finish)]
        with m.If(ends):
            m.d.sync += oldest.eq(oldest.rotate_left(1))
        with m.If(self.give & ~ends):
            m.d.sync += count.eq(count + 1)
        with m.Elif(~self.give & ends):
            m.d.sync += count.eq(count - 1)
        return m


class Waiting(wiring.Component):
    """Where instructions wait, in order, until their engine is free, and what the first one depends on is done.

        cycle  b       give
               b + 2   the first of them stands in held_*, if none did
               b + 3   nothing that it depends on was still to be done; the engine is ready
               b + 4   begin, a register, since it spreads over the engine

    An engine has two cycles from when an instruction stands in held_* to prepare what it takes in that of `begin`.

    Parameters
    ----------
    depth: a power of 2. mark_bits: of what is told of all that wait.

    Members
    -------
    give: takes word, head, index, mark and waits_for; only while `free`. still: of InFlight. ready: the engine can begin
    one.
    begin: the first, in held_*, begins in this cycle. valid, marks: those that have not begun, in no order.
    """

    def __init__(self, depth: int, mark_bits: int):
        self.depth = depth
        super().__init__({"give": In(1), "word": In(128), "head": In(HEAD), "index": In(ENTRY_BITS), "mark": In(mark_bits),
                          "waits_for": In(ENTRIES),
                          "still": In(ENTRIES), "ready": In(1), "free": Out(1), "begin": Out(1), "held_word": Out(128),
                          "held_head": Out(HEAD),
                          "held_index": Out(ENTRY_BITS), "valid": Out(depth), "marks": Out(mark_bits).array(depth)})

    def elaborate(self, platform):
        """A ring: what is only read as it is held stands in a memory, the rest in registers."""
        m = Module()
        newest, oldest = (Signal(range(self.depth), name=name) for name in ("newest", "oldest"))
        waits = [Signal(ENTRIES, name=f"waits_{k}", reset_less=True) for k in range(self.depth)]
        given = Cat(self.word, self.head, self.index)
        m.submodules.rows = rows = memory.Memory(shape=len(given), depth=self.depth, init=[])
        write, read = rows.write_port(), rows.read_port(domain="comb")
        m.d.comb += [write.addr.eq(newest), write.en.eq(self.give), write.data.eq(given), read.addr.eq(oldest),
                     self.free.eq(~self.valid.bit_select(newest, 1))]
        for k, wait in enumerate(waits):
            m.d.sync += wait.eq(wait & self.still)
            with m.If(self.give & (newest == k)):
                m.d.sync += [self.valid[k].eq(1), wait.eq(self.waits_for), self.marks[k].eq(self.mark)]
            with m.If(self.begin & (oldest == k)):
                m.d.sync += self.valid[k].eq(0)
        with m.If(self.give):
            m.d.sync += newest.eq(newest + 1)
        self._hold(m, oldest, read.data, waits)
        return m

    def _hold(self, m, oldest, row, waits):
        """Takes the oldest row out of the ring, and lets it begin."""
        holds, able, wait = Signal(), Signal(), Signal(ENTRIES, reset_less=True)
        held = Signal(len(row), name="held", reset_less=True)
        m.d.comb += Cat(self.held_word, self.held_head, self.held_index).eq(held)
        m.d.sync += [able.eq(holds & ~self.begin & ((wait & self.still) == 0)),
                     self.begin.eq(able & self.ready & ~self.begin)]
        with m.If(holds):
            m.d.sync += wait.eq(wait & self.still)
        with m.Else():
            m.d.sync += [held.eq(row), wait.eq(Array(waits)[oldest]), holds.eq(self.valid.bit_select(oldest, 1))]
        with m.If(self.begin):
            m.d.sync += [holds.eq(0), oldest.eq(oldest + 1)]
