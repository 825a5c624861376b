"""Dependency tokens: four counters between the modules, and the gate that an instruction passes to begin."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa.registers import TOKEN_QUEUE_DEPTH

TokenSource = wiring.Signature({"reserve": Out(1), "push": Out(1), "space": In(1)})
TokenSink = wiring.Signature({"pop": Out(1), "available": In(1)})


class TokenQueue(wiring.Component):
    """A queue of tokens that carry no data.

    An instruction reserves the place of its token as it begins and pushes as it ends, so that a push never waits: to
    the other module the two are the same, and work on its way never stands still with the memory channel in its hands.
    """

    def __init__(self, depth: int = TOKEN_QUEUE_DEPTH):
        self.depth = depth
        super().__init__({"source": In(TokenSource), "sink": In(TokenSink), "clear": In(1), "count": Out(range(depth + 1))})

    def elaborate(self, platform):
        m = Module()
        reserved = Signal(range(self.depth + 1))
        some, full = Signal(), Signal()  # count != 0, reserved == depth; registers, since whatever begins hangs on them
        m.d.comb += [self.sink.available.eq(some), self.source.space.eq(~full)]
        with m.If(self.source.push & ~self.sink.pop):
            m.d.sync += [self.count.eq(self.count + 1), some.eq(1)]
        with m.Elif(~self.source.push & self.sink.pop):
            m.d.sync += [self.count.eq(self.count - 1), some.eq(self.count != 1)]
        with m.If(self.source.reserve & ~self.sink.pop):
            m.d.sync += [reserved.eq(reserved + 1), full.eq(reserved == self.depth - 1)]
        with m.Elif(~self.source.reserve & self.sink.pop):
            m.d.sync += [reserved.eq(reserved - 1), full.eq(0)]
        with m.If(self.clear):
            m.d.sync += [self.count.eq(self.source.push), reserved.eq(reserved - self.count + self.source.reserve),
                         some.eq(self.source.push),
                         full.eq((self.count == 0) & (full | self.source.reserve & (reserved == self.depth - 1)))]
        return m


class TokenGate(wiring.Component):
    """Lets the instruction at the head of a module's queue begin: it looks for the tokens of both its pops; as it takes
    them, or later, for the places of its pushes; and begins in the cycle after it found them.

        cycle  c       valid and ready, and its tokens are there
               c + 1   they are taken; there is space for what it gives
               c + 2   it starts: the places are reserved

    What is taken and what starts are told by registers: they spread over other modules, and over its own.

    Members
    -------
    valid: there is an instruction, to the end of the cycle of its start; pop_prev, pop_next, push_prev, push_next: its
    header.
    ready: the module could begin it; what is so stays so until it begins. start: it begins in this cycle.
    from_prev, from_next, to_prev, to_next: the queues. A queue that a module does not have is tied: always available, always
        with space.
    waits_prev, waits_next, full_prev, full_next: what it waits for.
    """

    valid: In(1)
    ready: In(1)
    clear: In(1)
    pop_prev: In(1)
    pop_next: In(1)
    push_prev: In(1)
    push_next: In(1)
    start: Out(1)
    from_prev: Out(TokenSink)
    from_next: Out(TokenSink)
    to_prev: Out(TokenSource)
    to_next: Out(TokenSource)
    waits_prev: Out(1)
    waits_next: Out(1)
    full_prev: Out(1)
    full_next: Out(1)

    def elaborate(self, platform):
        m = Module()
        popped, pop, owed = Signal(), Signal(), Signal()  # pop: the tokens are taken in this cycle
        m.d.comb += [
            owed.eq(self.valid & ~popped & ~pop),
            self.waits_prev.eq(owed & self.pop_prev & ~self.from_prev.available),
            self.waits_next.eq(owed & self.pop_next & ~self.from_next.available),
            self.from_prev.pop.eq(pop & self.pop_prev),
            self.from_next.pop.eq(pop & self.pop_next),
            self.full_prev.eq(self.valid & self.push_prev & ~self.to_prev.space),
            self.full_next.eq(self.valid & self.push_next & ~self.to_next.space),
            self.to_prev.reserve.eq(self.start & self.push_prev),
            self.to_next.reserve.eq(self.start & self.push_next),
        ]
        m.d.sync += [pop.eq(owed & self.ready & ~self.waits_prev & ~self.waits_next & ~self.clear),
                     popped.eq((popped | pop) & ~self.start & ~self.clear),
                     self.start.eq((popped | pop) & self.valid & self.ready & ~self.full_prev & ~self.full_next & ~self.start
                                   & ~self.clear)]
        return m
