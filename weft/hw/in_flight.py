"""Instructions of the compute module that have begun and not ended, in program order.

They begin in order and end in order; between, those of different engines run beside one another. An instruction waits for
the older ones of other engines that use what it uses; within an engine order is kept anyway. So the meaning stays sequential.
"""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .steps import ENTRIES, ENTRY_BITS, HEAD, Engine

DONE = wiring.Signature({"valid": Out(1), "index": Out(ENTRY_BITS)})
ENGINES = ("multiply", "alu", "load")


class InFlight(wiring.Component):
    """A ring of entries, one for each instruction.

    Members
    -------
    give: the instruction `head` begins and takes entry `index`; only while `space`.
    waits_for: entries that it must wait for. multiply, alu, load: an engine does an entry's last write; it counts as done in the
    next cycle. still: entries that are not done.
    end: the instruction ends that was the oldest in the cycle before, with these tokens, and `finish`; one a cycle, in order.
    """

    def __init__(self):
        super().__init__({"space": Out(1), "give": In(1), "head": In(HEAD), "index": Out(ENTRY_BITS), "waits_for": Out(ENTRIES),
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
            m.d.comb += [self.waits_for[k].eq(self.still[k] & (uses[k] & self.head.uses).any() & (engines[k] != self.head.engine))]
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
                        m.d.sync += [engines[k].eq(self.head.engine), uses[k].eq(self.head.uses), tokens[k][0].eq(self.head.push_prev),
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

    Members
    -------
    give: takes word, head, index and waits_for; only while `free`. still: of InFlight. ready: the engine can begin one.
    begin: the first, in held_*, begins in this cycle; it leaves in the next. valid, words: all that have not left.
    """

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__({"give": In(1), "word": In(128), "head": In(HEAD), "index": In(ENTRY_BITS), "waits_for": In(ENTRIES),
                          "still": In(ENTRIES), "ready": In(1), "free": Out(1), "begin": Out(1), "held_word": Out(128),
                          "held_head": Out(HEAD), "held_index": Out(ENTRY_BITS), "valid": Out(depth), "words": Out(128).array(depth)})

    def elaborate(self, platform):
        m = Module()
        heads = [self.held_head, *(Signal(HEAD, name=f"head_{k}", reset_less=True) for k in range(1, self.depth))]
        indices = [self.held_index, *(Signal(ENTRY_BITS, name=f"index_{k}", reset_less=True) for k in range(1, self.depth))]
        waits = [Signal(ENTRIES, name=f"waits_{k}") for k in range(self.depth)]
        leaves = Signal()  # begin reaches few registers, and this one all the others
        m.d.comb += [self.begin.eq(self.valid[0] & ~leaves & self.ready & (waits[0] == 0)), self.free.eq(~self.valid[-1]),
                     self.held_word.eq(self.words[0])]
        m.d.sync += leaves.eq(self.begin)
        rows = [(self.valid[k], self.words[k], heads[k], indices[k], waits[k]) for k in range(self.depth)]
        for k, (valid, word, head, index, wait) in enumerate(rows):
            m.d.sync += wait.eq(wait & self.still)
            with m.If(leaves):
                m.d.sync += valid.eq(0)
                if k + 1 < self.depth:
                    m.d.sync += [valid.eq(rows[k + 1][0]), wait.eq(rows[k + 1][4] & self.still)]
                    m.d.sync += [mine.eq(its) for mine, its in zip((word, head, index), rows[k + 1][1:4])]
            before, behind = rows[k - 1][0] if k else Const(1), rows[k + 1][0] if k + 1 < self.depth else Const(0)
            takes = Mux(leaves, valid & ~behind, before & ~valid)  # it becomes the last one
            with m.If(self.give & takes):
                m.d.sync += [valid.eq(1), word.eq(self.word), head.eq(self.head), index.eq(self.index), wait.eq(self.waits_for)]
        return m
