"""Requantisation (weft.isa.quantise) in stages: bias, multiply, shift, round, zero point; the clip is on the way out.

A stage works from registers only where a step is in it, so that a simulator has nothing to do for the others.
"""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS

LATENCY = 5  # cycles from x and parameters to result
PRODUCT_BITS = 32 + MULTIPLIER_BITS

CONTROL = data.StructLayout({"shift": 6, "rounding": 2, "zero_point": signed(8), "minimum": signed(8), "maximum": signed(8)})


class RequantChannel(wiring.Component):
    """Holds a channel's parameters for the stages that need them later; every batch row of the channel shares them.

    Members
    -------
    enables: a bit a stage that a step is in. multiplier, control: a lane's words, at stage 0; the others: for the stage named,
    and LATENCY for the one after the last.
    """

    enables: In(LATENCY)
    multiplier: In(signed(MULTIPLIER_BITS))
    control: In(CONTROL)
    multiplier_1: Out(signed(MULTIPLIER_BITS))
    control_2: Out(CONTROL)
    control_3: Out(CONTROL)
    control_4: Out(CONTROL)
    control_5: Out(CONTROL)

    def elaborate(self, platform):
        m = Module()
        multiplier = Signal(signed(MULTIPLIER_BITS), reset_less=True)
        stages = [self.control, *(Signal(CONTROL, name=f"held_{stage}", reset_less=True) for stage in range(1, LATENCY + 1))]
        with m.If(self.enables[0]):
            m.d.sync += multiplier.eq(self.multiplier)
        for stage in range(LATENCY):
            with m.If(self.enables[stage]):
                m.d.sync += stages[stage + 1].eq(stages[stage])
        m.d.comb += self.multiplier_1.eq(multiplier)
        m.d.comb += [getattr(self, f"control_{stage}").eq(stages[stage]) for stage in range(2, LATENCY + 1)]
        return m


class RequantLane(wiring.Component):
    """result = requantise(x, a channel's parameters) LATENCY cycles later; each parameter is due at its stage."""

    enables: In(LATENCY)
    x: In(signed(32))
    bias: In(signed(32))
    multiplier_1: In(signed(MULTIPLIER_BITS))
    control_2: In(CONTROL)
    control_3: In(CONTROL)
    control_4: In(CONTROL)
    control_5: In(CONTROL)
    result: Out(signed(8))

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(32), reset_less=True)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        shifted = Signal(signed(PRODUCT_BITS + 1), reset_less=True)  # the quotient, and below it the bit worth a half
        below = Signal(reset_less=True)  # anything below that bit
        negative = Signal(reset_less=True)
        rounded = Signal(signed(10), reset_less=True)  # saturated: beyond this the clip decides, whatever the zero point
        moved = Signal(signed(11), reset_less=True)
        with m.If(self.enables[0]):
            m.d.sync += total.eq(self.x + self.bias)
        with m.If(self.enables[1]):
            m.d.sync += product.eq(total * self.multiplier_1)
        doubled, shift = Cat(Const(0, 1), product).as_signed(), self.control_2.shift
        with m.If(self.enables[2]):
            m.d.sync += [shifted.eq(doubled >> shift), below.eq((doubled[:63] & (Const((1 << 63) - 1, 63) >> ~shift)).any()),
                         negative.eq(product < 0)]
        quotient, half = shifted[1:].as_signed(), shifted[0]
        tie_stays = (self.control_3.rounding == HALF_EVEN) & ~quotient[0] | (self.control_3.rounding == HALF_AWAY) & negative
        with m.If(self.enables[3]):
            m.d.sync += rounded.eq(Mux(quotient > 510, 511, Mux(quotient < -512, -512,
                                                                quotient[:10].as_signed() + (half & (below | ~tie_stays)))))
        with m.If(self.enables[4]):
            m.d.sync += moved.eq(rounded + self.control_4.zero_point)
        low, high = self.control_5.minimum, self.control_5.maximum
        m.d.comb += self.result.eq(Mux((moved > high) | (low > high), high, Mux(moved < low, low, moved[:8].as_signed())))
        return m
