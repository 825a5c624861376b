"""Requantisation (weft.isa.quantise) in stages: bias, multiply by halves, shift by eights and then by ones, round, zero point, clip.

A stage works from registers only where a step is in it, so that a simulator has nothing to do for the others.
"""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS

BIAS, PRODUCTS, PRODUCT, EIGHTS, ONES, ROUND, MOVE, CLIP = STAGES = range(8)
LATENCY = len(STAGES)  # cycles from x and parameters to result
PRODUCT_BITS = 32 + MULTIPLIER_BITS
HALF = 16  # bits of a factor: what multipliers of an FPGA take

CONTROL = data.StructLayout({"shift": 6, "rounding": 2, "zero_point": signed(8), "minimum": signed(8), "maximum": signed(8)})
KEPT = (EIGHTS, ONES, ROUND, MOVE, CLIP)  # stages that want a lane's control word


class RequantChannel(wiring.Component):
    """Holds a channel's parameters for the stages that need them later; every batch row of the channel shares them.

    Members
    -------
    enables: a bit a stage that a step is in. multiplier, control: a lane's words, at stage 0. late_multiplier: at PRODUCTS;
    control_*: at the stage of that number.
    """

    def __init__(self):
        super().__init__({"enables": In(LATENCY), "multiplier": In(signed(MULTIPLIER_BITS)), "control": In(CONTROL),
                          "late_multiplier": Out(signed(MULTIPLIER_BITS)), **{f"control_{stage}": Out(CONTROL) for stage in KEPT}})

    def elaborate(self, platform):
        m = Module()
        multiplier = Signal(signed(MULTIPLIER_BITS), reset_less=True)
        held = [self.control, *(Signal(CONTROL, name=f"held_{stage}", reset_less=True) for stage in STAGES[1:])]
        with m.If(self.enables[BIAS]):
            m.d.sync += multiplier.eq(self.multiplier)
        for stage in STAGES[:-1]:
            with m.If(self.enables[stage]):
                m.d.sync += held[stage + 1].eq(held[stage])
        m.d.comb += self.late_multiplier.eq(multiplier)
        m.d.comb += [getattr(self, f"control_{stage}").eq(held[stage]) for stage in KEPT]
        return m


class RequantLane(wiring.Component):
    """result = requantise(x, a channel's parameters) LATENCY cycles later; each parameter is due at its stage."""

    def __init__(self):
        super().__init__({"enables": In(LATENCY), "x": In(signed(32)), "bias": In(signed(32)), "late_multiplier": In(signed(MULTIPLIER_BITS)),
                          **{f"control_{stage}": In(CONTROL) for stage in KEPT}, "result": Out(signed(8))})

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(32), reset_less=True)
        low, high = (Signal(signed(HALF + 1 + MULTIPLIER_BITS), name=f"{half}_product", reset_less=True) for half in ("low", "high"))
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        by_eights, shifted = (Signal(signed(PRODUCT_BITS + 1), name=name, reset_less=True) for name in ("by_eights", "shifted"))
        dropped, below = Signal(reset_less=True), Signal(reset_less=True)  # anything below the bit worth a half
        rounded = Signal(signed(10), reset_less=True)
        above, beneath = Signal(reset_less=True), Signal(reset_less=True)  # beyond this the clip decides, whatever the zero point
        moved = Signal(signed(11), reset_less=True)
        with m.If(self.enables[BIAS]):
            m.d.sync += total.eq(self.x + self.bias)
        with m.If(self.enables[PRODUCTS]):
            m.d.sync += [low.eq(total[:HALF] * self.late_multiplier), high.eq(total[HALF:].as_signed() * self.late_multiplier)]
        with m.If(self.enables[PRODUCT]):
            m.d.sync += product.eq(low + (high << HALF))
        doubled = Cat(Const(0, 1), product).as_signed()  # the lowest bit is worth a half
        eights, ones = self._control(EIGHTS).shift[3:], self._control(ONES).shift[:3]
        with m.If(self.enables[EIGHTS]):
            m.d.sync += [by_eights.eq(doubled >> Cat(Const(0, 3), eights)),
                         dropped.eq((doubled[:56] & (Const((1 << 56) - 1, 56) >> Cat(Const(0, 3), ~eights))).any())]
        with m.If(self.enables[ONES]):
            m.d.sync += [shifted.eq(by_eights >> ones), below.eq(dropped | (by_eights[:7] & (Const(127, 7) >> ~ones)).any())]
        quotient, half = shifted[1:].as_signed(), shifted[0]
        rounding = self._control(ROUND).rounding
        tie_stays = (rounding == HALF_EVEN) & ~quotient[0] | (rounding == HALF_AWAY) & (shifted < 0)
        with m.If(self.enables[ROUND]):
            m.d.sync += [above.eq(quotient > 510), beneath.eq(quotient < -512), rounded.eq(quotient[:10].as_signed() + (half & (below | ~tie_stays)))]
        with m.If(self.enables[MOVE]):
            m.d.sync += moved.eq(Mux(above, 511, Mux(beneath, -512, rounded)) + self._control(MOVE).zero_point)
        least, most = self._control(CLIP).minimum, self._control(CLIP).maximum
        with m.If(self.enables[CLIP]):
            m.d.sync += self.result.eq(Mux((moved > most) | (least > most), most, Mux(moved < least, least, moved[:8].as_signed())))
        return m

    def _control(self, stage):
        return getattr(self, f"control_{stage}")
