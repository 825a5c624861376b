"""Walking and rebuilding loop programs, for passes that run before any leaf exists."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from weft.compiler.expr import Binary, Cast, Const, Expr, Load, Select, Var, binary, walk
from weft.compiler.stmt import Alloc, Buffer, For, Seq, Stmt, Store


@dataclass(frozen=True, eq=False)
class Access:
    """A Store in its place: `path` are the statements around it, outermost first."""

    store: Store
    path: tuple[Stmt, ...]

    @property
    def buffers(self) -> set[Buffer]:
        return {self.store.buffer, *(load.buffer for load in self.reads())}

    def reads(self) -> list[Load]:
        return [e for e in walk(self.store.value) if isinstance(e, Load)]

    def loops_within(self, outer: Stmt) -> list[For]:
        """The loops between `outer`, which is on the path, and the Store."""
        return [s for s in self.path[self.path.index(outer) + 1:] if isinstance(s, For)]


def accesses(stmt: Stmt, path: tuple[Stmt, ...] = ()) -> Iterator[Access]:
    """Every Store in program order."""
    match stmt:
        case Store():
            yield Access(stmt, path)
        case For(body=body) | Alloc(body=body):
            yield from accesses(body, (*path, stmt))
        case Seq(body):
            for s in body:
                yield from accesses(s, (*path, stmt))


def allocations(stmt: Stmt) -> Iterator[Alloc]:
    """Every Alloc, outermost first."""
    match stmt:
        case Alloc(body=body):
            yield stmt
            yield from allocations(body)
        case For(body=body):
            yield from allocations(body)
        case Seq(body):
            for s in body:
                yield from allocations(s)


def map_statements(stmt: Stmt, change: Callable[[Stmt], Stmt]) -> Stmt:
    """The tree rebuilt from its leaves upward, with `change` at every statement."""
    match stmt:
        case For(body=body) | Alloc(body=body):
            return change(replace(stmt, body=map_statements(body, change)))
        case Seq(body):
            return change(Seq([map_statements(s, change) for s in body]))
    return change(stmt)


def map_accesses(stmt: Stmt, change: Callable[[Buffer, tuple[Expr, ...]], tuple[Buffer, tuple[Expr, ...]]]) -> Stmt:
    """The tree with every (buffer, indices), read or written, replaced by what `change` makes of it."""
    def on_expr(e: Expr) -> Expr:
        match e:
            case Load(buffer, indices):
                return Load(*change(buffer, indices))
            case Binary(op, a, b):
                return Binary(op, on_expr(a), on_expr(b)) if op in ("requant", "lut") else binary(op, on_expr(a), on_expr(b))
            case Select(c, t, o):
                return Select(c, on_expr(t), on_expr(o))
            case Cast(to, a):
                return Cast(to, on_expr(a))
        return e

    def on_statement(s: Stmt) -> Stmt:
        return Store(*change(s.buffer, s.indices), on_expr(s.value)) if isinstance(s, Store) else s

    return map_statements(stmt, on_statement)


def variables(*expressions: Expr) -> set[Var]:
    return {v for e in expressions for v in walk(e) if isinstance(v, Var)}


def extent_bounds(e: Expr, last: dict[Var, int]) -> tuple[int, int]:
    """(smallest, largest) value of an index expression where each variable v runs from 0 to last[v]."""
    match e:
        case Const(value):
            return value, value
        case Var():
            return 0, last[e]
        case Binary(op, a, b):
            (al, ah), (bl, bh) = extent_bounds(a, last), extent_bounds(b, last)
            corners = {"add": (al + bl, ah + bh), "sub": (al - bh, ah - bl), "min": (min(al, bl), min(ah, bh)),
                       "max": (max(al, bl), max(ah, bh))}
            if op in corners:
                return corners[op]
            if op == "mul":
                products = [x * y for x in (al, ah) for y in (bl, bh)]
                return min(products), max(products)
    raise ValueError(f"no bounds for {e}")
