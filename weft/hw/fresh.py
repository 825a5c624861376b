"""An operand out of ACC that has seen what its own engine has written: what is on its way to ACC is taken from there.

A step reads ACC while up to four steps before it have not yet written. Engines have an order, and never use a half of
ACC at once (in_flight.py), so that only an engine's own steps have to be looked at.
"""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

AHEAD = 4  # steps that may have an address and have not yet written: in the two cycles of a read, its operation, its write


def again(address, ahead):
    """Which of the steps ahead, [(step, its dst)] from the nearest on, writes what is read: a bit each."""
    return Cat(step.valid & (dst == address) for step, dst in ahead)


class Fresh(wiring.Component):
    """Two cycles after a step reads, what it reads is there, and so is what the second step ahead makes; what the third and
    the fourth made is kept from the cycle before. What the nearest makes comes a cycle later, as `result`.

    Members
    -------
    enable, upper, again: in the cycle of a read, that there is one, from which half, and `again`.
    lower_data, upper_data: what the halves read, two cycles later. nothing: in that cycle: nothing was read, and data is to
    be `instead`, in all lanes.
    data, nearest: three cycles after the read; `result` is meant where `nearest`.
    result: what the engine writes in this cycle; written: the cycle before.
    """

    def __init__(self, config, lanes: int):
        self.lanes = lanes
        words = config.acc_bits
        super().__init__({"enable": In(1), "upper": In(1), "again": In(AHEAD), "nothing": In(1), "instead": In(words),
                          "lower_data": In(words).array(lanes), "upper_data": In(words).array(lanes),
                          "result": In(words).array(lanes),
                          "written": In(words).array(lanes), "data": Out(words).array(lanes), "nearest": Out(1)})

    def elaborate(self, platform):
        m = Module()
        got, fetched = Signal(), Signal()
        upper, second, third, older, high, made, is_next, was_next = (
            Signal(name=name, reset_less=True)
            for name in ("is_upper", "second", "third", "older", "high", "made", "is_next", "was_next"))
        data, early = ([Signal(len(word), name=f"{name}_{lane}", reset_less=True) for lane, word in enumerate(self.data)]
                       for name in ("data", "early"))
        m.d.comb += [its.eq(mine) for its, mine in zip(self.data, data)]
        m.d.sync += [got.eq(self.enable), fetched.eq(got)]
        with m.If(self.enable):
            m.d.sync += [upper.eq(self.upper), is_next.eq(self.again[0]), second.eq(self.again[1]), third.eq(self.again[2]),
                         older.eq(self.again[2] | self.again[3])]
        with m.If(got):  # of four, the second half are not from ACC
            m.d.sync += [was_next.eq(is_next), made.eq(second | older), high.eq(second | ~older & upper)]
            m.d.sync += [mine.eq(Mux(third, result, written))
                         for mine, result, written in zip(early, self.result, self.written)]
        with m.If(fetched):
            m.d.sync += self.nearest.eq(was_next)
            for mine, low, up, result, kept in zip(data, self.lower_data, self.upper_data, self.result, early):
                m.d.sync += mine.eq(Mux(made, Mux(high, result, kept), Mux(high, up, low)))
        with m.Elif(self.nothing):
            m.d.sync += [self.nearest.eq(0), *(word.eq(self.instead) for word in data)]
        return m
