"""An operand out of ACC that has seen what its own engine has written: what is on its way to ACC is taken from there.

A step reads ACC while up to three steps before it have not yet written. Engines have an order, and never use a half of
ACC at once (in_flight.py), so that only an engine's own steps have to be looked at.
"""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

AHEAD = 3  # steps that may have an address and have not yet written: in the cycles of a read's first word, its operation, its write


def again(address, ahead):
    """Which of the steps ahead, [(step, its dst)] from the nearest on, writes what is read: a bit each."""
    return Cat(step.valid & (dst == address) for step, dst in ahead)


class Fresh(wiring.Component):
    """Members: `enable` and `upper`, the half, in the cycle of a read, and `again`; a cycle later `lower` and `upper_data`, what the
    halves of ACC read; then `data`, and in its place `result` where `nearest`. nothing: in that cycle: nothing was read, and
    data is to be 0. result: what the engine writes in this cycle; written: the cycle before."""

    def __init__(self, config, lanes: int):
        self.lanes = lanes
        words = config.acc_bits
        super().__init__({"enable": In(1), "upper": In(1), "again": In(AHEAD), "nothing": In(1), "lower_data": In(words).array(lanes),
                          "upper_data": In(words).array(lanes), "result": In(words).array(lanes), "written": In(words).array(lanes),
                          "data": Out(words).array(lanes), "nearest": Out(1)})

    def elaborate(self, platform):
        m = Module()
        fetched, upper, on_its_way, in_result, nearest = Signal(), *(Signal(name=name, reset_less=True) for name in
                                                                     ("is_upper", "on_its_way", "in_result", "is_nearest"))
        m.d.sync += fetched.eq(self.enable)
        with m.If(self.enable):
            m.d.sync += [upper.eq(self.upper), on_its_way.eq(self.again[1] | self.again[2]), in_result.eq(self.again[1]), nearest.eq(self.again[0])]
        with m.If(fetched):
            m.d.sync += self.nearest.eq(nearest)
            for mine, low, high, result, written in zip(self.data, self.lower_data, self.upper_data, self.result, self.written):
                m.d.sync += mine.eq(Mux(on_its_way, Mux(in_result, result, written), Mux(upper, high, low)))
        with m.Elif(self.nothing):
            m.d.sync += [self.nearest.eq(0), *(mine.eq(0) for mine in self.data)]
        return m
