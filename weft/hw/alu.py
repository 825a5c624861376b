"""One lane of the ALU: the operations that take a cycle. Those that take more are in requant.py."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

LANE = signed(32)
SHORT = ("min", "max", "add")
SLOW = ("shr", "mul")


class AluLane(wiring.Component):
    """result = the smaller of x and y, the larger one if `larger`, or with `adds` the sum, which wraps. Combinational."""

    adds: In(1)
    larger: In(1)
    x: In(LANE)
    y: In(LANE)
    result: Out(LANE)

    def elaborate(self, platform):
        m = Module()
        difference = Signal(len(self.x) + 1)  # its sign says which one; turned over before, since a level behind costs more
        m.d.comb += [difference.eq(Cat(self.x, self.x[-1] ^ self.larger) - Cat(self.y, self.y[-1])),
                     self.result.eq(Mux(self.adds, self.x + self.y, Mux(difference[-1], self.x, self.y)))]
        return m
