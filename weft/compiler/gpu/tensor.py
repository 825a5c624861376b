"""Tensor instructions of a GPU: which nests they equal, and their code.

dp4a: for k in 4: acc += int32(a[.., k]) * int32(b[.., k]), four products of bytes in each of two registers.

mma: an m16n8k32 product of int8 by the 32 threads of a warp together. The nest is what one thread gets of it:

    threadIdx.y g in range(8): threadIdx.x t in range(4):
      for i in 2: for j in 2: for k in 32:
        acc[i, j] += int32(a[row(g, i), k]) * int32(b[column(t, j), k])

A thread hands in other values than those that its own sums need: of a the rows of its g, of b the column that the machine
numbers g, and of both four k at t. So row must not depend on t, nor column on g, and a and b are memory that all see.
Which thread holds what: PTX ISA, "Matrix fragments for mma.m16n8k32".
"""

from dataclasses import dataclass

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.values import I32, Value, declared

from ..expr import Binary, Cast, Const, Expr, Load, Var, binary, substitute, walk
from ..stmt import For, Store
from .expressions import Expressions, offset
from .ranges import step
from .threads import Dimensions

SIGNS = {"int8": "s", "uint8": "u"}
MMA_DEPTH, MMA_THREADS = 32, {"threadIdx.x": 4, "threadIdx.y": 8}


@dataclass(frozen=True)
class Products:
    """acc[..] += int32(a[..]) * int32(b[..]) within loops."""

    loops: tuple[For, ...]
    acc: Load
    a: Load
    b: Load


def matched(loop: For) -> Products:
    """The nest from this loop on as sums of products of bytes. WeftError where it is none."""
    loops, inner = [], loop
    while isinstance(inner, For):
        loops.append(inner)
        inner = inner.body
    if not isinstance(inner, Store):
        raise _refuse(loop, "several statements")
    match inner.value:
        case Binary("add", Load() as acc, Binary("mul", Cast("int32", Load() as a), Cast("int32", Load() as b))) \
                if acc == Load(inner.buffer, inner.indices) and {a.dtype, b.dtype} <= set(SIGNS):
            return Products(tuple(loops), acc, a, b)
    raise _refuse(loop, f"{inner.buffer.name}[..] = {inner.value}")


def _refuse(loop: For, found: str) -> WeftError:
    return WeftError(f"loop '{loop.var}'", f"the nest of {loop.tensorize} is a sum of products of bytes", found,
                     "acc[..] += int32(a[..]) * int32(b[..])")


def _along(found: Products, load: Load, variables: list[Var], extents: list[int]) -> bool:
    """Whether the variables, the last one fastest, go through the load's memory value by value."""
    at, expected = offset(load.buffer, load.indices), 1
    for v, extent in zip(reversed(variables), reversed(extents)):
        if step(at, v, extent) != expected:
            return False
        expected *= extent
    return True


def emit_dp4a(code: Expressions, loop: For):
    """The nest of one loop over 4 as a dp4a."""
    found = matched(loop)
    if [_turns(n) for n in found.loops] != [4] or not all(_along(found, x, [loop.var], [4]) for x in (found.a, found.b)):
        raise _refuse(loop, "loops that are not one over 4 values that lie one after the other")
    a, b = (_word(code, x, {loop.var: 0}) for x in (found.a, found.b))
    total = _Sum(code, found.acc, {})
    name = f"llvm.nvvm.idp4a.{SIGNS[found.a.dtype]}.{SIGNS[found.b.dtype]}"
    dp4a = declared(code.builder.module, name, I32, I32, I32, I32)
    total.set(Value(code.builder, code.builder.call(dp4a, [a.ir, b.ir, total.get().ir])))


def emit_mma(code: Expressions, loop: For, threads: dict[Var, str], sizes: Dimensions):
    """The nest of loops 2, 2, and 32 products as an mma. threads: the names that variables are bound to."""
    found = matched(loop)
    turns, variables = [_turns(n) for n in found.loops], [n.var for n in found.loops]
    depth, deep = variables[2:], turns[2:]
    if turns[:2] != [2, 2] or _product(deep) != MMA_DEPTH or sizes.block[:2] != tuple(MMA_THREADS.values()):
        raise _refuse(loop, f"loops of {turns} turns in blocks of {sizes.block} threads")
    i, j = variables[:2]
    of = lambda name: {v for v, thread in threads.items() if thread == name}  # noqa: E731
    lane, group = of("threadIdx.x"), of("threadIdx.y")
    used_a, used_b = (set(walk(offset(x.buffer, x.indices))) for x in (found.a, found.b))
    in_order = all(_along(found, x, depth, deep) for x in (found.a, found.b))
    crossed = used_a & (lane | {j}) or used_b & (group | {i})
    if crossed or not in_order or {found.a.buffer.scope, found.b.buffer.scope} & {"local", "reg"}:
        raise _refuse(loop, f"{found.a} and {found.b}")
    t, g = (code.own[name] for name in MMA_THREADS)
    zero = dict.fromkeys(depth, 0)
    a = [_word(code, found.a, {**zero, i: row}, 4, t, half) for half in (0, 16) for row in (0, 1)]
    column = {**zero, **dict.fromkeys(lane, binary("floordiv", g, 2)), j: binary("mod", g, 2)}
    b = [_word(code, found.b, column, 4, t, half) for half in (0, 16)]
    totals = [_Sum(code, found.acc, {i: row, j: c}) for row in (0, 1) for c in (0, 1)]
    result = ir.LiteralStructType([I32] * 4)
    kinds = ".".join(dict.fromkeys(f"{SIGNS[x.dtype]}8" for x in (found.a, found.b)))
    mma = declared(code.builder.module, f"llvm.nvvm.mma.m16n8k32.row.col.{kinds}", result, *[I32] * 10)
    made = code.builder.call(mma, [x.ir for x in (*a, *b)] + [total.get().ir for total in totals])
    for k, total in enumerate(totals):
        total.set(Value(code.builder, code.builder.extract_value(made, k)))


class _Sum:
    """The register of one of a thread's sums."""

    def __init__(self, code: Expressions, load: Load, at: dict[Var, int]):
        self.builder = code.builder
        self.place = code.register(load.buffer, tuple(substitute(x, at) for x in load.indices))

    def get(self) -> Value:
        return Value(self.builder, self.builder.load(self.place, typ=I32))

    def set(self, value: Value):
        self.builder.store(value.ir, self.place)


def _word(code: Expressions, load: Load, at: dict[Var, Expr | int], factor: int = 0, thread: Var | None = None,
          more: int = 0) -> Value:
    """Four int8 from where the variables are `at`, and factor * thread + more on."""
    place, _ = code.address(load.buffer, tuple(substitute(e, at) for e in load.indices), more)
    if thread is not None:
        place = place + code.env[thread] * factor
    return place.load(I32, 4)


def _turns(loop: For) -> int | None:
    return loop.extent.value if isinstance(loop.extent, Const) else None


def _product(numbers: list[int | None]) -> int | None:
    total = 1
    for n in numbers:
        if n is None:
            return None
        total *= n
    return total
