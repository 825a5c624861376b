"""One lane of the ALU: the operations that take one cycle. Requantisation is in requant.py."""

from amaranth import Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa import ALU_BY_NAME

LANE = signed(32)


def shift_right(x, y):
    """x shifted right by y, arithmetic, or left by -y where y is negative; any int32 y."""
    right = Mux(y[5:31].any(), 31, y[:5])
    left = (-y)[:5]
    too_far = ~y[5:31].all() | (y[:5] == 0)  # of a negative y: below -31
    return Mux(y[31], Mux(too_far, 0, (x << left)[:32].as_signed()), x >> right)


OPERATIONS = {
    "min": lambda x, y: Mux(x < y, x, y),
    "max": lambda x, y: Mux(x < y, y, x),
    "add": lambda x, y: x + y,
    "shr": shift_right,
    "mul": lambda x, y: x * y,
}


class AluLane(wiring.Component):
    """result = operation(x, y), or 0 with `clear`; 0 where it is not `used`. Combinational; wraps in int32.

    `op` is an alu_opcode of those in OPERATIONS.
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
                for name, operation in OPERATIONS.items():
                    with m.Case(ALU_BY_NAME[name].code):
                        m.d.comb += self.result.eq(operation(self.x, self.y))
        return m
