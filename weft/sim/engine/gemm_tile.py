"""The inner loop of GEMM: some elements of ACC, held in registers, through all that is added to them."""

from llvmlite import ir

from weft.llvm.values import I32, I64, POINTER, Pointer, Value, Variable, constant, loop, vector

from .context import Context

UNROLLED = 8  # groups of inputs that are multiplied without a loop
TILE = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, I64, POINTER])  # state, acc, entries, how many, positions
TILES = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, I64, I64])  # the same, but for how many positions there are


def tiles(begin) -> ir.Function:
    """All positions of the state through the entries, in tiles as even as can be."""
    c: Context = begin("gemm_tiles", TILES)
    b, most = c.builder, c.form.positions(c.config)
    every = [_tile(begin, n) for n in range(1, most + 1)]
    positions = c.value(4)
    pieces = (positions + (most - 1)).divided(c.number(most))
    with loop(b, pieces) as k:
        first, end = (positions * k).divided(pieces), (positions * (k + 1)).divided(pieces)
        table = c.array("positions") + first * 8
        after = c.function.append_basic_block("after")
        switch = b.switch((end - first).ir, after)
        for size, function in enumerate(every, 1):
            block = c.function.append_basic_block(f"size_{size}")
            switch.add_case(I64(size), block)
            b.position_at_end(block)
            b.call(function, [*c.function.args[:4], table.ir])
            b.branch(after)
        b.position_at_end(after)
    b.ret_void()
    return c.function


def _tile(begin, positions: int) -> ir.Function:
    """acc[position] += sum over entries of inp[entry + position] @ wgt[entry].T, for the first positions of a table."""
    c: Context = begin(f"gemm_tile_{positions}", TILE)
    b, config, lanes = c.builder, c.config, c.form.lanes
    kind, parts = vector(I32, lanes), config.block_out // lanes
    acc, entries, table = c.pointer(1), c.pointer(2), c.pointer(4)
    inp, wgt, sums = (c.array(name) for name in ("operand_inp", "operand_wgt", "weight_sums"))
    places = [acc + (table + (8 * p + 4)).load(I32, 4) for p in range(positions)]
    totals = [[Variable(b, (place + part * 4 * lanes).load(kind, 4)) for part in range(parts)] for place in places]
    excess = [Variable(b, constant(b, kind, 0)) for _ in range(parts)]
    with loop(b, c.value(3)) as k:
        entry = entries + k * 8
        source, weight = inp + entry.load(I32, 4), (entry + 4).load(I32, 4).sext(I64)
        inputs = [source + (table + 8 * p).load(I32, 4) for p in range(positions)]
        if c.form.unsigned_inputs:
            for part, total in enumerate(excess):
                total.set(total.get() + (sums + weight * (4 * config.block_out) + part * 4 * lanes).load(kind, 4))
        _products(c, totals, inputs, wgt + weight * c.sizes.wgt)
    for place, row in zip(places, totals):
        for part, total in enumerate(row):
            (place + part * 4 * lanes).store(total.get() - (excess[part].get() << 7), 4)
    b.ret_void()
    return c.function


def _products(c: Context, totals: list[list[Variable]], inputs: list[Pointer], weights: Pointer):
    """One entry of a tile: a weight, and one row of INP for each position."""
    groups = c.sizes.inp // 4
    if groups <= UNROLLED:
        return _unrolled(c, totals, inputs, weights, groups)
    with loop(c.builder, groups // UNROLLED) as turn:
        skipped = turn * (4 * UNROLLED)
        _unrolled(c, totals, [i + skipped for i in inputs], weights + skipped * c.config.block_out, UNROLLED)


def _unrolled(c: Context, totals: list[list[Variable]], inputs: list[Pointer], weights: Pointer, groups: int):
    kind, lanes = vector(I32, c.form.lanes), c.form.lanes
    now: list[list[Value]] = [[total.get() for total in row] for row in totals]
    for group in range(groups):
        columns = [(weights + 4 * (group * c.config.block_out + part * lanes)).load(kind, 4) for part in range(len(now[0]))]
        for row, source in zip(now, inputs):
            spread = (source + 4 * group).load(I32, 4).splat(lanes)
            for part, column in enumerate(columns):
                row[part] = c.form.dot(row[part], spread, column)
    for variables, values in zip(totals, now):
        for variable, value in zip(variables, values):
            variable.set(value)
