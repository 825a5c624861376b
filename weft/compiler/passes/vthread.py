"""Virtual threads get their own memory: what is allocated inside of a vthread loop gains an axis over its turns.

    vthread t in range(2):         alloc a [2, 4, ..]
      for i in range(3):             vthread t in range(2):
        alloc a [4, ..]        ->      for i in range(3):
        a[j, ..] = ...                   a[t, j, ..] = ...

The turns can then be woven into one stream, statement by statement, by code generation.
"""

from dataclasses import replace

from weft.compiler.expr import Var
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Stmt
from weft.isa import Config

from .rewrite import extent_bounds, map_accesses


def privatise(program: LoopProgram, config: Config) -> LoopProgram:
    """The program with every Alloc hoisted out of all vthread loops."""
    body, hoisted = _visit(program.body, (), {})
    assert not hoisted
    return replace(program, body=body)


def _visit(stmt: Stmt, threads: tuple[For, ...], last: dict[Var, int]) -> tuple[Stmt, list[Buffer]]:
    """The statement, and the buffers that the outermost vthread loop around it must allocate."""
    match stmt:
        case For(var, extent, body):
            last = {**last, var: max(extent_bounds(extent, last)[1] - 1, 0)}
            outermost = stmt.kind == "vthread" and not threads
            inner = (*threads, stmt) if stmt.kind == "vthread" else threads
            body, hoisted = _visit(body, inner, last)
            result: Stmt = replace(stmt, body=body)
            if outermost:
                for buffer in reversed(hoisted):
                    result = Alloc(buffer, result)
                hoisted = []
            return result, hoisted
        case Alloc(buffer, body) if threads:
            extents = tuple(last[t.var] + 1 for t in threads)
            private = replace(buffer, shape=extents + buffer.shape, threads=extents[0] if len(extents) == 1 else 1)
            index = tuple(t.var for t in threads)
            body = map_accesses(body, lambda b, i: (private, index + i) if b is buffer else (b, i))
            body, hoisted = _visit(body, threads, last)
            return body, [private, *hoisted]
        case Alloc(buffer, body):
            body, hoisted = _visit(body, threads, last)
            return replace(stmt, body=body), hoisted
        case Seq(body):
            parts = [_visit(s, threads, last) for s in body]
            return Seq([s for s, _ in parts]), [b for _, h in parts for b in h]
    return stmt, []
