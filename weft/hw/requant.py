"""One lane of the operations that take stages: requantisation (weft.isa.quantise), products and shifts.

    TAKE      the operands are there
    BIAS      the bias is added; what is to be multiplied by is chosen
    PRODUCTS  products of halves
    CROSS     the sum of the upper ones
    PRODUCT   the sum of all
    EIGHTS    shifted right by eights; from here on results of shifts and products are only carried along
    ONES      shifted right by ones
    ROUND     cut to a few bits, as the clip decides beyond, and rounded
    MOVE      the zero point is added
    CLIP      what is there is the result

A shift to the right by s is a product with 2**(16 - s % 16) and a shift by 16 or 32, which are eights; one to the left is a
product with a power of two. A stage works from registers only where a step is in it, so that a simulator has nothing to
do for the others.
"""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS

TAKE, BIAS, PRODUCTS, CROSS, PRODUCT, EIGHTS, ONES, ROUND, MOVE, CLIP = STAGES = range(10)
LATENCY = len(STAGES)  # cycles from operands and parameters to result
HALF = 16  # bits of a factor: what multipliers of an FPGA take
PRODUCT_BITS = 32 + MULTIPLIER_BITS
DOUBLED_BITS = PRODUCT_BITS + 1  # of the product, the lowest bit being worth a half
QUOTIENT_BITS = 9  # whatever the zero point, the clip decides beyond them
KEPT_BITS = 33  # of what is shifted by eights: a result and a half
ROUNDED_FROM = 1 + QUOTIENT_BITS + 7  # of those, what can become the quotient and its half

FIELDS = {"bias": (signed(32), BIAS), "multiplier": (signed(MULTIPLIER_BITS), BIAS), "eights": (3, PRODUCT),
          "ones": (3, ONES), "kept": (7, ONES), "rounding": (2, ROUND), "zero_point": (signed(8), MOVE),
          "minimum": (signed(8), CLIP), "maximum": (signed(8), CLIP)}
"""A channel's parameters: their shapes, and the stages at which they are due. kept: of the lowest bits those that a shift by
`ones` does not drop. minimum: the maximum if that is less."""


def register(name, shape):
    return Signal(shape, name=name, reset_less=True)


class LongLane(wiring.Component):
    """What an element of ACC becomes, LATENCY cycles after it came: `result`, of products and shifts, and `quantised`.
    Either is 0 when there is none.

    Members
    -------
    requants, slows: a bit a stage that a step is in, which requantises, or else multiplies or shifts. enables: either.
    x, y: at TAKE. multiplies, shifts: at BIAS, whether the step does that with y. FIELDS: each at its stage; bias and
    multiplier must be 0 where nothing is requantised.
    """

    def __init__(self):
        super().__init__({"requants": In(LATENCY), "slows": In(LATENCY), "enables": In(LATENCY), "x": In(signed(32)),
                          "y": In(signed(32)), "multiplies": In(1), "shifts": In(1), "result": Out(signed(32)),
                          "quantised": Out(signed(8)), **{name: In(shape) for name, (shape, _) in FIELDS.items()}})

    def elaborate(self, platform):
        m = Module()
        total = register("total", signed(32))
        factor, high_factor = register("factor", signed(HALF + 2)), register("high_factor", HALF)
        x, y = register("x", signed(32)), register("y", signed(32))
        with m.If(self.enables[TAKE]):
            m.d.sync += [x.eq(self.x), y.eq(self.y)]
        with m.If(self.enables[BIAS]):
            m.d.sync += total.eq(x + self.bias)
        slow_eights, vanishes = self._factors(m, y, factor, high_factor)
        product = self._product(m, total, factor, high_factor, vanishes)
        eights = register("shift_eights", 3)
        with m.If(self.enables[PRODUCT]):
            m.d.sync += eights.eq(Mux(self.slows[PRODUCT], slow_eights, self.eights))
        by_eights = register("by_eights", signed(KEPT_BITS))
        doubled = Cat(Const(0, 1), product).as_signed()
        with m.If(self.enables[EIGHTS]):
            m.d.sync += by_eights.eq(self._by_eights(doubled, eights))
        self._carry(m, by_eights[1:])
        self._clip(m, self._round(m, *self._by_ones(m, doubled, eights, by_eights)))
        return m

    def _factors(self, m, y, factor, high_factor):
        """What `total` is multiplied by: `factor`, and `high_factor` 2**16 times. Returns what else a shift needs, there at
        PRODUCT: by how many eights its product goes to the right, and whether it `vanishes`, far to the left."""
        power = Const(1 << HALF, HALF + 1) >> y[:4]  # 2**(16 - y % 16), for a left shift by 16 - y % 16, or by 16 more
        near = self.shifts & (y[4] | ~y[31])
        by_sixteens, left, far = (register(name, width) for name, width in (("by_sixteens", 2), ("left", 1), ("far", 2)))
        with m.If(self.enables[BIAS]):
            m.d.sync += [factor.eq(self.multiplier | Mux(self.multiplies, y[:HALF], 0) | Mux(near, power, 0)),
                         high_factor.eq(Mux(self.multiplies, y[HALF:], 0) | Mux(self.shifts & ~near, power, 0)),
                         by_sixteens.eq(Cat(self.shifts & ~y[31] & ~y[4], self.shifts & ~y[31] & y[4])),
                         left.eq(self.shifts & y[31]),
                         far.eq(Cat((part ^ y[31].replicate(13)).any() for part in (y[5:18], y[18:31])))]
        over, vanishes = Signal(), far.any() & left
        m.d.comb += over.eq(far.any() & by_sixteens.any())  # all eights: only the sign is left
        eights = Cat(over, by_sixteens | over.replicate(2))
        for stage in (PRODUCTS, CROSS):
            held = [register(f"slow_eights_{stage}", 3), register(f"vanishes_{stage}", 1)]
            with m.If(self.enables[stage]):
                m.d.sync += [held[0].eq(eights), held[1].eq(vanishes)]
            eights, vanishes = held
        return eights, vanishes

    def _product(self, m, total, factor, high_factor, vanishes):
        low, high = (register(f"{half}_product", signed(HALF + MULTIPLIER_BITS)) for half in ("low", "high"))
        cross, product = register("cross_product", HALF), register("product", signed(PRODUCT_BITS))
        with m.If(self.enables[PRODUCTS]):
            m.d.sync += [low.eq(total[:HALF] * factor), high.eq(total[HALF:].as_signed() * factor),
                         cross.eq(total[:HALF] * high_factor)]
        lower, upper = register("lower", low.shape()), register("upper", high.shape())
        with m.If(self.enables[CROSS]):  # only 32 bits of the product matter where `cross` is not 0
            m.d.sync += [lower.eq(low), upper.eq(Cat((high[:HALF] + cross)[:HALF], high[HALF:]))]
        with m.If(self.enables[PRODUCT]):
            m.d.sync += product.eq(Mux(vanishes, 0, Cat(lower[:HALF], (lower[HALF:].as_signed() + upper)[:len(upper)])))
        return product

    def _by_eights(self, doubled, eights):
        """The lowest bits of `doubled` >> 8 * eights, from ROUNDED_FROM on only if eights are even, or seven, which
        leave the sign; the largest shift first, as later ones then have less to do."""
        by_32 = Mux(eights[2], doubled >> 32, doubled)
        by_16 = Mux(eights[1], by_32 >> 16, by_32)[:KEPT_BITS]
        return Cat(Mux(eights[0], by_16[8:], by_16)[:ROUNDED_FROM], by_16[ROUNDED_FROM:])

    def _carry(self, m, value):
        """Shifts and products from ONES on."""
        held = [value, *(register(f"held_{stage}", 32) for stage in (ONES, ROUND, MOVE))]
        for stage, before, after in zip((ONES, ROUND, MOVE), held, held[1:]):
            with m.If(self.slows[stage]):
                m.d.sync += after.eq(before)
        with m.If(self.slows[CLIP]):
            m.d.sync += self.result.eq(held[-1])
        with m.Else():
            m.d.sync += self.result.eq(0)

    def _by_ones(self, m, doubled, eights, by_eights):
        """There at ROUND: the quotient and its half, the sign of it, and whether anything was lost below, or above."""
        not_zero, not_sign, was_negative = register("not_zero", 7), register("not_sign", 5), register("was_negative", 1)
        shifted, negative = register("shifted", 1 + QUOTIENT_BITS), register("negative", 1)
        below, above, sign = register("below", 1), register("above", 1), doubled[-1]
        parts = [doubled[start:start + 8] for start in range(0, DOUBLED_BITS, 8)]
        with m.If(self.requants[EIGHTS]):
            m.d.sync += [was_negative.eq(sign),
                         not_zero.eq(Cat(part.any() for part in parts) & ~(Const(127, 7) << eights)[:7]),
                         not_sign.eq(Cat((part ^ sign.replicate(len(part))).any() for part in parts[2:])
                                     & (Const(31, 5) << eights)[:5])]
        source = by_eights[:ROUNDED_FROM]
        by_four = Mux(self.ones[2], source[4:], source)[:ROUNDED_FROM - 4]
        beyond = (source[QUOTIENT_BITS:ROUNDED_FROM - 1] ^ was_negative.replicate(7)) & self.kept
        with m.If(self.requants[ONES]):
            m.d.sync += [shifted.eq(by_four >> self.ones[:2]), negative.eq(was_negative),
                         below.eq(not_zero.any() | (source[:7] & ~self.kept).any()), above.eq(not_sign.any() | beyond.any())]
        return shifted, negative, below, above

    def _round(self, m, shifted, negative, below, above):
        rounded, half, odd = register("rounded", signed(QUOTIENT_BITS + 1)), shifted[0], shifted[1]
        limit = Cat((~negative).replicate(QUOTIENT_BITS - 1), negative)
        tie_stays = (self.rounding == HALF_EVEN) & ~odd | (self.rounding == HALF_AWAY) & negative
        with m.If(self.requants[ROUND]):
            m.d.sync += rounded.eq(Mux(above, limit, shifted[1:]).as_signed() + (half & (below | ~tie_stays)))
        return rounded

    def _clip(self, m, rounded):
        moved = register("moved", signed(QUOTIENT_BITS + 1))
        with m.If(self.requants[MOVE]):
            m.d.sync += moved.eq(rounded + self.zero_point)
        above, beneath = (self.maximum - moved)[-1], (moved - self.minimum)[-1]
        with m.If(self.requants[CLIP]):
            m.d.sync += self.quantised.eq(Mux(above, self.maximum, Mux(beneath, self.minimum, moved[:8].as_signed())))
        with m.Else():
            m.d.sync += self.quantised.eq(0)
