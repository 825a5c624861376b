"""One lane of the ALU: operations that take a cycle, and those that take more. Requantisation is in requant.py."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa import ALU_BY_NAME

from .requant import LATENCY

LANE = signed(32)
SHORT = {
    "min": lambda x, y: Mux(x < y, x, y),
    "max": lambda x, y: Mux(x < y, y, x),
    "add": lambda x, y: x + y,
}
SLOW = ("shr", "mul")
HALF = 16  # bits of a factor: what multipliers of an FPGA take


class AluLane(wiring.Component):
    """result = operation(x, y), or 0 with `clear`; 0 where it is not `used`. Combinational; wraps in int32.

    `op` is an alu_opcode of those in SHORT.
    """

    used: In(1)
    op: In(3)
    clear: In(1)
    x: In(LANE)
    y: In(LANE)
    result: Out(LANE)

    def elaborate(self, platform):
        m = Module()
        with m.If(self.used & ~self.clear):
            with m.Switch(self.op):
                for name, operation in SHORT.items():
                    with m.Case(ALU_BY_NAME[name].code):
                        m.d.comb += self.result.eq(operation(self.x, self.y))
        return m


class SlowLane(wiring.Component):
    """result = x shifted or multiplied by y, LATENCY cycles later, as long as requantisation takes, so that order is kept.

    Members
    -------
    enables: a bit a stage that a step is in. x, y: at stage 0. multiplies: of the step in stage 3; else it shifts.
    """

    enables: In(LATENCY)
    x: In(LANE)
    y: In(LANE)
    multiplies: In(1)
    result: Out(LANE)

    def elaborate(self, platform):
        m = Module()
        x, y = Signal(32, reset_less=True), Signal(32, reset_less=True)
        with m.If(self.enables[0]):
            m.d.sync += [x.eq(self.x), y.eq(self.y)]
        product, shifted = self._multiply(m, x, y), self._shift(m, x, y)
        held = [Signal(32, name=f"held_{stage}", reset_less=True) for stage in range(3, LATENCY)]
        for stage, before, after in zip(range(3, LATENCY), [Mux(self.multiplies, product, shifted), *held], held):
            with m.If(self.enables[stage]):
                m.d.sync += after.eq(before)
        m.d.comb += self.result.eq(held[-1])
        return m

    def _multiply(self, m, x, y):
        """The low half of the product, from products of halves; there at stage 3."""
        low, crosses = Signal(32, reset_less=True), [Signal(HALF, name=f"cross_{way}", reset_less=True) for way in range(2)]
        product = Signal(32, reset_less=True)
        with m.If(self.enables[1]):
            m.d.sync += [low.eq(x[:HALF] * y[:HALF]), crosses[0].eq(x[HALF:] * y[:HALF]), crosses[1].eq(x[:HALF] * y[HALF:])]
        with m.If(self.enables[2]):
            m.d.sync += product.eq(Cat(low[:HALF], (low[HALF:] + (crosses[0] + crosses[1])[:HALF])[:HALF]))
        return product

    def _shift(self, m, x, y):
        """x shifted right by y, arithmetic, or left by -y where y is negative, any y, by eights and then by ones; at stage 3.

        To the right by 31 at most, and to the left, which gives 0 from 32 on."""
        value, coarse = Signal(LANE, reset_less=True), Signal(LANE, reset_less=True)
        left, amount, fine, coarse_left = Signal(reset_less=True), Signal(5, reset_less=True), Signal(3, reset_less=True), Signal(reset_less=True)
        too_far = ~y[5:31].all() | (y[:5] == 0)  # of a negative y: below -31
        with m.If(self.enables[1]):
            m.d.sync += [value.eq(Mux(y[31] & too_far, 0, x)), left.eq(y[31]),
                         amount.eq(Mux(y[31], (-y)[:5], Mux(y[5:31].any(), 31, y[:5])))]
        eights = Cat(Const(0, 3), amount[3:])
        with m.If(self.enables[2]):
            m.d.sync += [coarse.eq(Mux(left, (value << eights)[:32].as_signed(), value >> eights)), fine.eq(amount[:3]), coarse_left.eq(left)]
        return Mux(coarse_left, (coarse << fine)[:32], coarse >> fine)
