"""A stage for streams that cuts both ways: what goes on, and what holds it up."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Relay(wiring.Component):
    """A queue of two, whose output and whose `input.ready` are registers. What is given is there a cycle later; one a cycle
    goes through."""

    def __init__(self, shape):
        self.shape = shape
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        shown, spare = (Signal(self.shape, name=name, reset_less=True) for name in ("shown", "spare"))
        two = Signal()  # the second, in `spare`, came while the first stood still
        m.d.comb += [self.input.ready.eq(~two), self.output.payload.eq(shown)]
        with m.If(~two):
            m.d.sync += spare.eq(self.input.payload)
        with m.If(self.output.ready | ~self.output.valid):
            m.d.sync += [shown.eq(Mux(two, spare, self.input.payload)), self.output.valid.eq(two | self.input.valid),
                         two.eq(0)]
        with m.Elif(self.input.valid):
            m.d.sync += two.eq(1)
        return m
