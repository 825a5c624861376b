"""ALU operations, step by step in the order of the meaning. What an operation means is traced from the instruction table."""

from llvmlite import ir

from weft.isa import ALU_OPS, AluOp
from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS
from weft.llvm.values import I8, I32, I64, Pointer, Value, loop, vector, when

from .context import KERNEL, Context, Nest


class Lanes:
    """The second operand of requant: the parameters of block_out channels, unpacked."""

    def __init__(self, c: Context, place: Pointer):
        lanes = c.config.block_out
        words = place.load(vector(I32, 4 * lanes), 4)
        self.bias, multiplier, control = (words.shuffle(list(range(word, 4 * lanes, 4))) for word in range(3))
        unused = 32 - MULTIPLIER_BITS
        self.multiplier = (multiplier << unused >> unused).sext(I64)
        self.shift, self.rounding = (control & 63).sext(I64), control.logical_right(6) & 3
        self.zero_point, self.minimum, self.maximum = ((control << 24 - low >> 24).sext(I64) for low in (8, 16, 24))

    def requantise(self, acc: Value) -> Value:
        """isa.quantise.requantise, lane by lane."""
        product = (acc + self.bias).sext(I64) * self.multiplier
        one = product.like(1)
        shifted = self.shift > 0
        half = shifted.select(one << (self.shift - 1).maximum(0), one.like(0))
        rounded = product + half >> self.shift
        tie = shifted & (product + half & (one << self.shift) - 1).equals(0)
        odd, negative = (rounded & 1).equals(1), product < 0
        back = tie & (self.rounding.equals(HALF_EVEN) & odd | self.rounding.equals(HALF_AWAY) & negative)
        return (rounded - back.zext(I64) + self.zero_point).maximum(self.minimum).minimum(self.maximum).trunc(I32)


class Table:
    """The second operand of lut: 256 int8."""

    def __init__(self, c: Context, place: Pointer):
        self.place = place

    def look_up(self, acc: Value) -> Value:
        entries = acc & 255
        for lane in range(acc.lanes):
            entries = entries.with_lane(lane, (self.place + entries.lane(lane).zext(I64)).load(I8).sext(I32))
        return entries


OPERANDS = {"qnt": Lanes, "lut": Table}


def kernel(begin, config) -> ir.Function:
    """The whole instruction: (state, record) -> 0, or 1 where an address or the operation is none."""
    c: Context = begin("alu", KERNEL)
    nest = Nest(c)
    most = nest.largest()
    c.refuse_unless((most["dst"] < config.acc_depth) & nest.keeps_to_a_half(most, "dst"))
    use_imm = c.field("use_imm").differs(0)
    for op in ALU_OPS.values():
        with when(c.field("alu_opcode").equals(op.code)):
            if op.operand == "acc":
                with when(use_imm):
                    _run(c, nest, op, immediate=True)
            c.refuse_unless(most["src"] < getattr(config, f"{op.operand}_depth"))
            if op.operand == "acc":
                c.refuse_unless(nest.keeps_to_a_half(most, "dst", "src"))
            _run(c, nest, op)
    c.builder.ret(I32(1))
    return c.function


def _run(c: Context, nest: Nest, op: AluOp, immediate: bool = False):
    """All steps of one operation; ends the function."""
    c.count("alu_steps", nest.steps)
    c.count("acc_writes", nest.steps)
    if op.operand != "acc":
        with when(nest.uops.equals(1) & nest.factors["src", "in"].equals(0)), nest.turns("out") as out:
            operand = _operand(c, op, nest.micro_op(c.number(0))["src"] + nest.offset("src", out, c.number(0)))
            with nest.turns("in") as in_:  # the operand is unpacked once for all of these
                _step(c, op, nest.micro_op(c.number(0))["dst"] + nest.offset("dst", out, in_), operand)
        c.leave_if(nest.uops.equals(1) & nest.factors["src", "in"].equals(0), 0)
    immediate_value = c.field("imm").trunc(I32)
    with nest.turns("out") as out, nest.turns("in") as in_, loop(c.builder, nest.uops) as k:
        micro_op = nest.micro_op(k)
        second = None if immediate else micro_op["src"] + nest.offset("src", out, in_)
        operand = immediate_value if immediate else _operand(c, op, second)
        _step(c, op, micro_op["dst"] + nest.offset("dst", out, in_), operand)
    c.done()


def _operand(c: Context, op: AluOp, index: Value):
    place = c.element(op.operand, index)
    return OPERANDS[op.operand](c, place) if op.operand in OPERANDS else place


def _step(c: Context, op: AluOp, index: Value, operand):
    place = c.element("acc", index)
    kind, row = vector(I32, c.config.block_out), 4 * c.config.block_out
    with loop(c.builder, c.config.batch) as n:
        x = (place + n * row).load(kind, 4)
        y = (operand + n * row).load(kind, 4) if isinstance(operand, Pointer) else operand
        (place + n * row).store(op.meaning(x, y), 4)
