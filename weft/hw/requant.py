"""One lane of requantisation, in four stages: bias, multiply, shift and round, zero point and clip (weft.isa.quantise)."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS

LATENCY = 3  # cycles from x and parameters to result
PRODUCT_BITS = 32 + MULTIPLIER_BITS
ROUNDED = signed(10)  # saturated here: beyond this the clip decides, whatever the zero point

CONTROL = data.StructLayout({"shift": 6, "rounding": 2, "zero_point": signed(8), "minimum": signed(8), "maximum": signed(8)})


class RequantChannel(wiring.Component):
    """Holds a channel's parameters for the stages that need them later; every batch row of the channel shares them.

    Members
    -------
    enables: a step is in stage 0, 1, 2. multiplier, control: a lane's words, at stage 0; the others: for the stage named.
    """

    enables: In(LATENCY)
    multiplier: In(signed(MULTIPLIER_BITS))
    control: In(CONTROL)
    multiplier_1: Out(signed(MULTIPLIER_BITS))
    control_2: Out(CONTROL)
    control_3: Out(CONTROL)

    def elaborate(self, platform):
        m = Module()
        multiplier = Signal(signed(MULTIPLIER_BITS), reset_less=True)
        stages = [Signal(CONTROL, name=f"held_{stage}", reset_less=True) for stage in (1, 2, 3)]
        with m.If(self.enables[0]):
            m.d.sync += [multiplier.eq(self.multiplier), stages[0].eq(self.control)]
        for stage in (1, 2):
            with m.If(self.enables[stage]):
                m.d.sync += stages[stage].eq(stages[stage - 1])
        m.d.comb += [self.multiplier_1.eq(multiplier), self.control_2.eq(stages[1]), self.control_3.eq(stages[2])]
        return m


def round_shift(product, shift, rounding):
    """product / 2**shift, rounded, saturated to ROUNDED."""
    doubled = Cat(Const(0, 1), product).as_signed()
    shifted = (doubled >> shift)[:PRODUCT_BITS + 1].as_signed()  # the quotient, and below it the bit worth a half
    quotient, half = shifted[1:].as_signed(), shifted[0]
    below = (doubled & ((Const(1, PRODUCT_BITS + 1) << shift) - 1)[:PRODUCT_BITS + 1]).any()
    to_even, away = (rounding == HALF_EVEN) & ~quotient[0], (rounding == HALF_AWAY) & product[-1]
    rounded = quotient + (half & (below | ~(to_even | away)))
    return Mux(rounded > 511, 511, Mux(rounded < -512, -512, rounded))


class RequantLane(wiring.Component):
    """result = requantise(x, a channel's parameters) LATENCY cycles later; each parameter is due at its stage."""

    enables: In(LATENCY)
    x: In(signed(32))
    bias: In(signed(32))
    multiplier_1: In(signed(MULTIPLIER_BITS))
    control_2: In(CONTROL)
    control_3: In(CONTROL)
    result: Out(signed(32))

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(32), reset_less=True)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        rounded = Signal(ROUNDED, reset_less=True)
        with m.If(self.enables[0]):
            m.d.sync += total.eq(self.x + self.bias)
        with m.If(self.enables[1]):
            m.d.sync += product.eq(total * self.multiplier_1)
        with m.If(self.enables[2]):
            m.d.sync += rounded.eq(round_shift(product, self.control_2.shift, self.control_2.rounding))
        final, moved = self.control_3, Signal(signed(11))
        m.d.comb += moved.eq(rounded + final.zero_point)
        at_least = Mux(moved < final.minimum, final.minimum, moved)
        m.d.comb += self.result.eq(Mux(at_least > final.maximum, final.maximum, at_least))
        return m
