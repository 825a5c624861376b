"""Every nest of loops over one scalar Store becomes a leaf with the tensor instruction that means the same.

    for oh in range(4):
      for n in range(1):               gemm(acc=a[oh], inp=x[oh], wgt=w[0]) for oh in range(4)
        for co in range(16):     ->
          for ci in range(16):
            a[oh, n, co] = ...

Nests are matched by what they compute; a schedule's mark only narrows the choice. Nothing may remain scalar.
"""

from dataclasses import replace

from weft.compiler.expr import Binary, Const, Expr, Var, affine
from weft.compiler.stmt import Alloc, For, LoopProgram, Seq, Stmt, Store
from weft.isa import Config, WeftError

from .intrinsics import Intrinsic, intrinsics
from .leaf import Operand, TensorInstr
from .rewrite import variables
from .unify import ALL, Match, Mismatch, match_store


def tensorize(program: LoopProgram, config: Config) -> LoopProgram:
    """The program with a TensorInstr for every nest. WeftError for one that equals no tensor instruction."""
    return replace(program, body=_Tensorizer(program, config).visit(program.body))


class _Tensorizer:
    def __init__(self, program: LoopProgram, config: Config):
        self.program, self.config = program, config

    def visit(self, stmt: Stmt) -> Stmt:
        loops, inside = peel(stmt)
        if isinstance(inside, Store):
            return self._nest(loops, inside)
        match stmt:
            case For():
                return replace(stmt, body=self.visit(stmt.body))
            case Seq(body):
                return Seq([self.visit(s) for s in body])
            case Alloc():
                return replace(stmt, body=self.visit(stmt.body))
        return stmt

    def _nest(self, loops: list[For], store: Store) -> Stmt:
        mark = next((loop.tensorize for loop in loops if loop.tensorize), None)
        candidates = [i for i in intrinsics(self.config) if mark in (None, i.kind)]
        misses: list[tuple[Intrinsic, Mismatch]] = []
        for intrinsic in candidates:
            try:
                return self._leaf(intrinsic, match_store(intrinsic, store, loops), loops, store)
            except Mismatch as miss:
                misses.append((intrinsic, miss))
        intrinsic, miss = max(misses, key=lambda m: m[1].agreed)
        wanted = f"the instruction '{mark}' that it is marked with" if mark else "one of the tensor instructions"
        raise WeftError(
            f"program '{self.program.name}', statement '{store_text(store)}'", f"a statement must equal {wanted}",
            f"that it differs; nearest is '{intrinsic.name}': {miss}", f"a schedule that gives the form {intrinsic}")

    def _leaf(self, intrinsic: Intrinsic, match: Match, loops: list[For], store: Store) -> Stmt:
        outer = loops[:len(loops) - sum(v is not None for v in match.lanes.values())]
        inside = [part for condition in match.conditions for part in nonnegative(condition)]
        split = _first_own_loop(outer, inside)
        nest = loops[split] if split < len(loops) else store
        leaf: Stmt = TensorInstr(intrinsic, tuple(outer[split:]), {k: Operand(*v) for k, v in match.operands.items()},
                                 match.constants, tuple(inside), nest)
        for loop in reversed(outer[:split]):
            leaf = replace(loop, body=leaf)
        return leaf


def peel(stmt: Stmt) -> tuple[list[For], Stmt]:
    """The serial loops that enclose nothing but one another, outermost first, and what is inside of them."""
    loops: list[For] = []
    while True:
        if isinstance(stmt, For) and stmt.kind == "serial":
            loops.append(stmt)
            stmt = stmt.body
        elif isinstance(stmt, Seq) and len(stmt.body) == 1:
            stmt = stmt.body[0]
        else:
            return loops, stmt


def store_text(store: Store) -> str:
    return f"{store.buffer.name}[{', '.join(map(str, store.indices))}] = {store.value}"


def nonnegative(condition: Expr) -> list[Expr]:
    """A condition as index expressions that must all be >= 0. Mismatch where it is no conjunction of comparisons of sums."""
    match condition:
        case Binary("and", a, b):
            return nonnegative(a) + nonnegative(b)
        case Binary("ge", a, b) if affine(a) is not None and affine(b) is not None:
            return [a - b]
        case Binary("lt", a, b) if affine(a) is not None and affine(b) is not None:
            return [b - a - 1]
        case Const(value):
            return [] if value else [Const(-1)]
    raise Mismatch(f"a padding's condition is made of 'and', 'ge' and 'lt' of sums, not {condition}", ALL)


def _first_own_loop(loops: list[For], inside: list[Expr]) -> int:
    """The loops from here on belong into the leaf: their extents do not depend on one another, and each condition
    depends on one of them at most, so that what is not padding is a box."""
    own: set[Var] = set()
    needed: set[Var] = set()
    for k in reversed(range(len(loops))):
        v = loops[k].var
        if v in needed or any(v in variables(e) and own & variables(e) for e in inside):
            return k + 1
        own.add(v)
        needed |= variables(loops[k].extent)
    return 0

