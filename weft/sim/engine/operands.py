"""INP and WGT once more, as GEMM's inner loop wants them: made anew wherever a LOAD writes them.

operand_inp: each row of an element widened to the form's lanes (with 128 added where inputs are unsigned).
operand_wgt: int32 words [block_in / group, block_out] of an element; a word holds the weights of `group` inputs.
weight_sums: int32 [block_out] of an element, the sum of a row of weights, where inputs are unsigned.
"""

from llvmlite import ir

from weft.llvm.values import I8, I16, I32, I64, POINTER, Pointer, Value, constant, loop, vector

from .context import Context

PREPARE = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64])  # state, first element, how many


def prepare_inp(begin) -> ir.Function:
    c: Context = begin("prepare_inp", PREPARE)
    b, config, form = c.builder, c.config, c.form
    lanes = min(config.block_in, 64)
    with loop(b, c.value(2) * config.batch) as k:
        row = c.value(1) * config.batch + k
        values = (c.array("inp") + row * config.block_in).load(vector(I8, lanes))
        place = c.array("operand_inp") + row * c.sizes.inp
        if form.lane_bytes == 1:
            place.store(values ^ -128, 1)
        else:
            place.store(values.sext(I16), 1)  # beyond block_in there stay zeros
    b.ret_void()
    return c.function


def prepare_wgt(begin) -> ir.Function:
    c: Context = begin("prepare_wgt", PREPARE)
    b, config = c.builder, c.config
    with loop(b, c.value(2)) as k:
        element = c.value(1) + k
        source, target = c.array("wgt") + element * config.wgt_bytes, c.array("operand_wgt") + element * c.sizes.wgt
        if config.block_in < 4:
            _by_weight(c, source, target)
        else:
            sums = c.array("weight_sums") + element * (4 * config.block_out)
            _by_vectors(c, source, target, sums)
    b.ret_void()
    return c.function


def _by_vectors(c: Context, source: Pointer, target: Pointer, sums: Pointer):
    """16 rows of a weight at a time."""
    block_in, rows = c.config.block_in, min(c.config.block_out, 16)
    with loop(c.builder, c.config.block_out // rows) as part:
        total = constant(c.builder, vector(I32, rows), 0)
        for column in range(0, block_in, 16):
            block = source + part * (rows * block_in) + column
            for group, words in enumerate(_transposed(c, block, rows, min(block_in, 16) // 4)):
                _store(c, target, part * rows, column // 4 + group, words)
                for byte in range(4):
                    total = total + (words << 24 - 8 * byte >> 24)
        if c.form.unsigned_inputs:
            (sums + part * (4 * rows)).store(total, 4)


def _transposed(c: Context, block: Pointer, rows: int, words: int) -> list[Value]:
    """From `rows` rows of WGT, block_in bytes apart, `words` vectors: 32 bits of each row."""
    parts = [(block + row * c.config.block_in).load(vector(I32, words)) for row in range(rows)]
    while len(parts) > 1:
        parts = [a.joined(b) for a, b in zip(parts[::2], parts[1::2])]
    return [parts[0].shuffle([row * words + word for row in range(rows)]) for word in range(words)]


def _store(c: Context, target: Pointer, row: Value, group: int, words: Value):
    """Four weights of some rows, to their place in operand_wgt."""
    block_out = c.config.block_out
    if c.form.lane_bytes == 1:
        (target + (row + group * block_out) * 4).store(words, 4)
        return
    halves = words.bitcast(vector(I16, 2 * words.lanes))
    for half in range(2):
        pair = halves.shuffle(list(range(half, 2 * words.lanes, 2))).bitcast(vector(I8, 2 * words.lanes)).sext(I16)
        (target + (row + (2 * group + half) * block_out) * 4).store(pair, 4)


def _by_weight(c: Context, source: Pointer, target: Pointer):
    """For blocks too small for vectors: pairs, one weight at a time."""
    b, config = c.builder, c.config
    with loop(b, config.block_out) as row:
        for column in range(config.block_in):
            weight = (source + (row * config.block_in + column)).load(I8).sext(I16)
            (target + ((row + column // 2 * config.block_out) * 4 + column % 2 * 2)).store(weight, 2)
