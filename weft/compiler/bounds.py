"""Bounds of loops and of regions: sums of variables times constants, and the smallest of several such sums.

All loop variables start at 0. An `Extent` is a tuple of sums and means their minimum, which is what tails of splits need:
the inner loop of `split(10, 4)` has the extent (4, 10 - 4 * outer).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .expr import Binary, Const, Expr, Var, affine, binary


@dataclass(frozen=True)
class Linear:
    """terms (variable, coefficient) in the order of their first mention, plus a constant."""

    terms: tuple[tuple[Var, int], ...] = ()
    constant: int = 0

    @staticmethod
    def of(e: Expr) -> "Linear | None":
        """None where e is not affine."""
        found = affine(e)
        return None if found is None else Linear(tuple(found[0].items()), found[1])

    def coefficient(self, variable: Var) -> int:
        return dict(self.terms).get(variable, 0)

    def __add__(self, other: "Linear | int") -> "Linear":
        if isinstance(other, int):
            return Linear(self.terms, self.constant + other)
        terms = dict(self.terms)
        for v, c in other.terms:
            terms[v] = terms.get(v, 0) + c
        return Linear(tuple((v, c) for v, c in terms.items() if c), self.constant + other.constant)

    def __sub__(self, other: "Linear | int") -> "Linear":
        return self + (other * -1 if isinstance(other, Linear) else -other)

    def __mul__(self, factor: int) -> "Linear":
        return Linear(tuple((v, c * factor) for v, c in self.terms if factor), self.constant * factor)

    def without(self, variable: Var) -> "Linear":
        return Linear(tuple((v, c) for v, c in self.terms if v is not variable), self.constant)

    def largest(self, last: Mapping[Var, int]) -> int:
        """The largest value where variable v runs over 0 to last[v]."""
        return self.constant + sum(c * last[v] for v, c in self.terms if c > 0)

    def smallest(self, last: Mapping[Var, int]) -> int:
        return self.constant + sum(c * last[v] for v, c in self.terms if c < 0)

    def expr(self) -> Expr:
        """As an expression; positive terms come first."""
        result = None
        for v, c in sorted(self.terms, key=lambda term: term[1] < 0):
            if result is None and c < 0 and self.constant > 0:
                result = Const(self.constant)
            part = binary("mul", v, abs(c))
            if result is None:
                result = part if c > 0 else binary("sub", Const(0), part)
            else:
                result = binary("add" if c > 0 else "sub", result, part)
        if result is None:
            return Const(self.constant)
        if isinstance(result, Const) or self._leads():
            return result
        return binary("add" if self.constant >= 0 else "sub", result, abs(self.constant))

    def _leads(self) -> bool:
        """Whether expr() has put the constant first."""
        return self.constant > 0 and all(c < 0 for _, c in self.terms)


Extent = tuple[Linear, ...]


def constant(value: int) -> Extent:
    return (Linear((), value),)


def prune(sums: Iterable[Linear], last: Mapping[Var, int]) -> Extent:
    """The same minimum without the sums that are never smaller than another one."""
    kept: list[Linear] = []
    for candidate in sums:
        if any((candidate - other).smallest(last) >= 0 for other in kept):
            continue
        kept = [other for other in kept if (other - candidate).smallest(last) < 0] + [candidate]
    return tuple(kept)


def maximum(extent: Extent, last: Mapping[Var, int]) -> int:
    """The largest value of an extent."""
    return min(e.largest(last) for e in extent)


def extent_expr(extent: Extent) -> Expr:
    """An extent as an expression of minima."""
    result = extent[0].expr()
    for e in extent[1:]:
        result = binary("min", result, e.expr())
    return result


def interval(index: Linear, relaxed: Sequence[tuple[Var, Extent]]) -> tuple[Linear, Extent] | None:
    """The smallest value of an index, and bounds of its largest one, while the loops in `relaxed` (outermost first) run.

    Returns None where an index decreases along a loop: no region is derived from those.
    """
    low, highs = index, [index]
    for variable, extent in reversed(relaxed):
        if low.coefficient(variable) < 0:
            return None
        highs = [bound for h in highs for bound in _largest_along(h, variable, extent)]
        low = low.without(variable)
    return low, tuple(highs)


def _largest_along(high: Linear, variable: Var, extent: Extent) -> list[Linear]:
    factor = high.coefficient(variable)
    rest = high.without(variable)
    if factor <= 0:  # a tail's bound falls as its outer loop goes on: largest in the first turn
        return [rest]
    return [rest + (e - 1) * factor for e in extent]


def divided(e: Binary, last: Mapping[Var, int]) -> Expr:
    """A floordiv or mod by a constant without division, where e is a multiple of it and a rest that is provably below it."""
    linear, by = Linear.of(e.a), e.b
    if linear is None or not isinstance(by, Const) or any(v not in last for v, _ in linear.terms):
        return e
    whole = Linear(tuple((v, c) for v, c in linear.terms if c % by.value == 0), linear.constant // by.value * by.value)
    rest = linear - whole
    if rest.smallest(last) < 0 or rest.largest(last) >= by.value:
        return e
    quotient = Linear(tuple((v, c // by.value) for v, c in whole.terms), whole.constant // by.value)
    return (quotient if e.op == "floordiv" else rest).expr()
