"""An operand out of ACC that has seen what its own engine has written: what is on its way to ACC is taken from there.

A step reads ACC while up to three steps before it have not yet written. Engines have an order, and never use a half of
ACC at once (in_flight.py), so that only an engine's own steps have to be looked at.
"""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

AHEAD = 3  # steps that may have an address and have not yet written: in the cycles of a read's first word, its operation, its write
LOWER, UPPER, RESULT, WRITTEN = range(4)  # where an operand comes from


def again(address, ahead):
    """Which of the steps ahead, [(step, its dst)] from the nearest on, writes what is read: a bit each."""
    return Cat(step.valid & (dst == address) for step, dst in ahead)


class Fresh(wiring.Component):
    """Members: `enable` and `upper`, the half, in the cycle of a read, and `again`; a cycle later `lower` and `upper_data`, what the
    halves of ACC read; then `data`, and in its place `result` where `nearest`. result: what the engine writes in this cycle;
    written: the cycle before."""

    def __init__(self, config, lanes: int):
        self.lanes = lanes
        words = config.acc_bits
        super().__init__({"enable": In(1), "upper": In(1), "again": In(AHEAD), "lower_data": In(words).array(lanes),
                          "upper_data": In(words).array(lanes), "result": In(words).array(lanes), "written": In(words).array(lanes),
                          "data": Out(words).array(lanes), "nearest": Out(1)})

    def elaborate(self, platform):
        m = Module()
        source, fetched, nearest = Signal(range(4), reset_less=True), Signal(), Signal(reset_less=True)
        m.d.sync += fetched.eq(self.enable)
        with m.If(self.enable):
            m.d.sync += [source.eq(Mux(self.again[1], RESULT, Mux(self.again[2], WRITTEN, self.upper))), nearest.eq(self.again[0])]
        with m.If(fetched):
            m.d.sync += self.nearest.eq(nearest)
            with m.Switch(source):
                for number, values in enumerate((self.lower_data, self.upper_data, self.result, self.written)):
                    with m.Case(number):
                        m.d.sync += [mine.eq(its) for mine, its in zip(self.data, values)]
        return m
