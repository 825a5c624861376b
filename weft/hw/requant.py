"""One lane of requantisation, in four stages: bias, multiply, shift and round, zero point and clip (weft.isa.quantise)."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS

LATENCY = 3  # cycles from x and parameters to result
PRODUCT_BITS = 32 + MULTIPLIER_BITS
ROUNDED = signed(10)  # saturated here: beyond this the clip decides, whatever the zero point

PARAMETERS = data.StructLayout({"bias": signed(32), "multiplier": signed(MULTIPLIER_BITS), "shift": 6, "rounding": 2,
                                "zero_point": signed(8), "minimum": signed(8), "maximum": signed(8)})


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
    """result = requantise(x, parameters) LATENCY cycles later; `enable` goes along a stage a cycle."""

    enable: In(1)
    x: In(signed(32))
    parameters: In(PARAMETERS)
    result: Out(signed(32))

    def elaborate(self, platform):
        m = Module()
        enables = [self.enable]
        parameters = [self.parameters]
        for stage in range(1, LATENCY):
            enables.append(Signal(name=f"enable_{stage}", reset_less=True))
            m.d.sync += enables[stage].eq(enables[stage - 1])
        for stage in range(1, LATENCY + 1):
            parameters.append(Signal(PARAMETERS, name=f"parameters_{stage}", reset_less=True))
            with m.If(enables[stage - 1]):
                m.d.sync += parameters[stage].eq(parameters[stage - 1])
        total = Signal(signed(32), reset_less=True)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        rounded = Signal(ROUNDED, reset_less=True)
        with m.If(enables[0]):
            m.d.sync += total.eq(self.x + self.parameters.bias)
        with m.If(enables[1]):
            m.d.sync += product.eq(total * parameters[1].multiplier)
        with m.If(enables[2]):
            m.d.sync += rounded.eq(round_shift(product, parameters[2].shift, parameters[2].rounding))
        moved = Signal(signed(11))
        final = parameters[3]
        m.d.comb += [moved.eq(rounded + final.zero_point)]
        at_least = Mux(moved < final.minimum, final.minimum, moved)
        m.d.comb += self.result.eq(Mux(at_least > final.maximum, final.maximum, at_least))
        return m
