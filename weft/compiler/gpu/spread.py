"""A CPU's loop program over a GPU's threads: operators that need no schedule of their own there.

The outermost loops whose turns do not depend on one another become one number, a thread for each:

    parallel i in range(4):              blockIdx.x b in range(2):
      for j in range(64):                  threadIdx.x t in range(128):
        vectorise k in range(16):   ->       vectorise k in range(16):
          y[i, j, k] = ...                     y[(b * 128 + t) // 64, (b * 128 + t) % 64, k] = ...
"""

from dataclasses import replace
from math import prod

from ..expr import Const, Expr, Load, Var, binary, substitute, walk
from ..stmt import Alloc, For, If, LoopProgram, Seq, Stmt, Store

THREADS = 128  # of a block


def spread(program: LoopProgram) -> LoopProgram:
    """The program with its outermost independent loops bound to blocks of THREADS threads."""
    loops, body = _independent(program.body)
    turns = prod(loop.extent.value for loop in loops)
    block, thread = Var("block"), Var("thread")
    width = min(THREADS, turns)
    number = binary("add", binary("mul", block, width), thread)
    values: dict[Var, Expr] = {}
    behind = turns
    for k, loop in enumerate(loops):
        behind //= loop.extent.value
        at = binary("floordiv", number, behind)
        values[loop.var] = binary("mod", at, loop.extent.value) if k else at
    last = turns - (-(-turns // width) - 1) * width
    extent = Const(width) if last == width else binary("min", width, binary("sub", turns, binary("mul", block, width)))
    body = For(thread, extent, _substituted(body, values), "threadIdx.x")
    return replace(program, body=For(block, Const(-(-turns // width)), body, "blockIdx.x"))


def _independent(stmt: Stmt) -> tuple[list[For], Stmt]:
    """Loops around a statement from the outermost on, and what is inside of them."""
    loops: list[For] = []
    while True:
        if isinstance(stmt, Seq) and len(stmt.body) == 1:
            stmt = stmt.body[0]
        elif isinstance(stmt, For) and stmt.kind in ("parallel", "serial") and isinstance(stmt.extent, Const) \
                and stmt.extent.value and _turns_are_apart(stmt):
            loops.append(stmt)
            stmt = stmt.body
        else:
            return loops, stmt


def _turns_are_apart(loop: For) -> bool:
    """Whether each turn stores to places of its own, but for what exists in a turn only, and reads nothing of them."""
    stores, inner = list(_stores(loop.body)), set(_allocated(loop.body))
    outer = [store for store in stores if store.buffer not in inner]
    values = [e for store in stores for e in (*store.indices, store.value)]
    reads = {load.buffer for e in values for load in walk(e) if isinstance(load, Load)}
    return all(any(loop.var in set(walk(i)) for i in store.indices) for store in outer) \
        and (loop.kind == "parallel" or not reads & {store.buffer for store in outer})


def _stores(stmt: Stmt):
    match stmt:
        case Store():
            yield stmt
        case Seq(body):
            for part in body:
                yield from _stores(part)
        case For(body=body) | Alloc(body=body) | If(body=body):
            yield from _stores(body)


def _allocated(stmt: Stmt):
    match stmt:
        case Alloc(buffer, body):
            yield buffer
            yield from _allocated(body)
        case Seq(body):
            for part in body:
                yield from _allocated(part)
        case For(body=body) | If(body=body):
            yield from _allocated(body)


def _substituted(stmt: Stmt, values: dict[Var, Expr]) -> Stmt:
    """The statement with variables replaced. What a loop allocates keeps its identity."""
    put = lambda e: substitute(e, values)  # noqa: E731
    match stmt:
        case Store(buffer, indices, value):
            return Store(buffer, tuple(map(put, indices)), put(value))
        case For():
            kind = "serial" if stmt.kind == "parallel" else stmt.kind
            return replace(stmt, extent=put(stmt.extent), body=_substituted(stmt.body, values), kind=kind)
        case If(condition, body):
            return If(put(condition), _substituted(body, values))
        case Alloc(buffer, body):
            return Alloc(buffer, _substituted(body, values))
        case Seq(body):
            return Seq([_substituted(part, values) for part in body])
    return stmt
