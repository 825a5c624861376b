"""DEPTHWISE: a window of INP slides along the inner loop under the taps of one weight."""

from llvmlite import ir

from weft.isa.table import MAX_TAPS
from weft.llvm.values import I8, I16, I32, Pointer, Value, Variable, loop, vector

from .context import KERNEL, Context, Nest


def kernel(begin, config) -> ir.Function:
    """The whole instruction: (state, record) -> 0, or 1 where an address or the number of taps is out of range."""
    c: Context = begin("depthwise", KERNEL)
    b, most_taps = c.builder, min(config.block_in, MAX_TAPS)
    nest = Nest(c)
    most, taps = nest.largest(), c.field("taps")
    c.refuse_unless((taps >= 1) & (taps <= most_taps) & (most["dst"] < config.acc_depth) & nest.keeps_to_a_half(most, "dst")
                    & (most["src"] + taps - 1 < config.inp_depth) & (most["wgt"] < config.wgt_depth))
    c.count("acc_writes", nest.steps)
    c.count("gemm_steps", nest.steps)
    columns, zero = c.array("columns"), c.number(0)
    with nest.turns("out") as out, loop(b, nest.uops) as k:
        micro_op = nest.micro_op(k)
        weight = c.element("wgt", micro_op["wgt"] + nest.factors["wgt", "out"] * out)
        _columns(c, weight, columns, taps)
        first = {kind: micro_op[kind] + nest.offset(kind, out, zero) for kind in ("dst", "src")}
        with nest.turns("in") as in_:
            dst, src = (first[kind] + nest.factors[kind, "in"] * in_ for kind in ("dst", "src"))
            _step(c, c.element("acc", dst), c.element("inp", src), columns, taps)
    c.done()
    return c.function


def _columns(c: Context, weight: Pointer, columns: Pointer, taps: Value):
    """columns[tap][channel] = weight[channel][tap], int16."""
    block_out = c.config.block_out
    with loop(c.builder, taps) as tap:
        for channel in range(block_out):
            value = (weight + (tap + channel * c.config.block_in)).load(I8).sext(I16)
            (columns + (tap * block_out + channel) * 2).store(value, 2)


def _step(c: Context, acc: Pointer, inp: Pointer, columns: Pointer, taps: Value):
    """acc[n][channel] += sum over taps of inp[tap][n][channel] * columns[tap][channel]; a product fits int16."""
    b, lanes = c.builder, c.config.block_out
    with loop(b, c.config.batch) as row:
        place, window = acc + row * (4 * lanes), inp + row * c.config.block_in
        total = Variable(b, place.load(vector(I32, lanes), 4))
        with loop(b, taps) as tap:
            values = (window + tap * c.config.inp_bytes).load(vector(I8, lanes)).sext(I16)
            products = values * (columns + tap * (2 * lanes)).load(vector(I16, lanes), 2)
            total.set(total.get() + products.sext(I32))
        place.store(total.get(), 4)
