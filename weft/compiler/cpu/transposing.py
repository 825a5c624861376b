"""Points whose neighbours in what is written lie apart in what is read, and the other way round: images that change between
NCHW and NHWC, transposed matrices.

They are met in squares: vectors along what is read, as many as one has lanes, turned in registers, and stored along what is
written. So both memories are met in whole cache lines. The last square of an axis overlaps the one before.
"""

from collections.abc import Callable, Sequence

from ..expr import Expr, Load, Var, as_expr, binary
from ..stmt import Buffer, For, LoopProgram, Seq, Stmt, Store
from .kernel import LANES, Kernel
from .points import Loop, Operand, loops

FEWEST = 4  # neighbours in what is read that are worth a square


def along(sizes: Sequence[int], target: Operand, read: Sequence[Operand]) -> tuple[Loop, Loop, list[Loop]] | None:
    """(the loop along what is written, the one along what is read, the others from the outside inwards); None where these
    points are no transposition."""
    *outer, last = loops(sizes, [target, *read])
    if last.strides[0] != 1 or last.size < LANES:
        return None
    for loop in sorted(outer, key=lambda each: -each.size):
        vectors = [k for k in range(1, len(read) + 1) if loop.strides[k] == 1 and last.strides[k] not in (0, 1)]
        if loop.size >= FEWEST and vectors and all(stride in (0, 1) for stride in loop.strides[1:]):
            return last, loop, [each for each in outer if each is not loop]
    return None


def kernel(name: str, sizes: Sequence[int], target: Operand, operands: Sequence[Operand | Expr],
           define: Callable[..., Expr]) -> Kernel | None:
    """The kernel that points.kernel would make, in squares; None where `along` finds none. Arguments as there."""
    read = [o for o in operands if isinstance(o, Operand)]
    found = along(sizes, target, read)
    if found is None or len({o.name for o in read}) < len(read):
        return None
    written, vector, outer = found
    # memory twice over the same axis: what the last square is moved back by is no sum of loops, and stands by itself
    buffers = {o.name: Buffer(o.name, (o.size, o.size), o.dtype, "dram", 0, 1, (1, 1), (o.before, 0))
               for o in (*read, target)}
    nest = [*outer, Loop(-(-written.size // LANES), ())]
    *around, block = variables = [Var(f"i{k}") for k in range(len(nest))]
    first = binary("mul", block, LANES)
    first = first if written.size % LANES == 0 else binary("min", first, written.size - LANES)

    def square(rows: int, before: Expr) -> Stmt:
        """So many rows of what is written, behind those before."""
        i, j = Var("row"), Var("lane")

        def place(o: Operand, k: int) -> tuple[Expr, Expr]:
            steps = [loop.strides[k] for loop in (*outer, vector, written)]
            return o.place(steps, [*around, before + i, j]), binary("mul", first, written.strides[k])
        places = iter(range(1, len(read) + 1))
        values = [Load(buffers[o.name], place(o, next(places))) if isinstance(o, Operand) else o for o in operands]
        store = Store(buffers[target.name], place(target, 0), define(*values).astype(target.dtype))
        return For(i, as_expr(rows), For(j, as_expr(LANES), store, "vectorise"), "unroll", "transpose")

    (whole, rest), k = divmod(vector.size, LANES), Var("k")
    squares = [For(k, as_expr(whole), square(LANES, binary("mul", k, LANES)))] * (whole > 0)
    body: Stmt = Seq(squares + [square(rest, as_expr(whole * LANES))] * (rest > 0))
    for at in reversed(range(len(nest))):
        body = For(variables[at], as_expr(nest[at].size), body, "serial" if at else "parallel")
    program = LoopProgram(name, {o.name: buffers[o.name] for o in (*read, target)}, body)
    return Kernel(name, program, nest[0].size, {o.name: o.values for o in read if o.values is not None})
