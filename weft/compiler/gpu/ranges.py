"""What is known of an index before it has a value: its bounds, what divides it, and how it goes on along a loop."""

from collections.abc import Mapping
from math import gcd

from ..expr import Binary, Const, Expr, Load, Var, substitute, walk

Last = Mapping[Var, int]  # the largest value of each variable; the smallest is 0


def interval(e: Expr, last: Last) -> tuple[int, int] | None:
    """The smallest and the largest value of an index, roughly; None where nothing is known."""
    match e:
        case Const(value):
            return value, value
        case Var():
            return (0, last[e]) if e in last else None
        case Binary(op, a, b):
            left, right = interval(a, last), interval(b, last)
            return None if left is None or right is None else _of_two(op, left, right)
    return None


def _of_two(op: str, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int] | None:
    corners = {"mul": lambda x, y: x * y, "floordiv": lambda x, y: x // y}
    match op:
        case "add":
            return a[0] + b[0], a[1] + b[1]
        case "sub":
            return a[0] - b[1], a[1] - b[0]
        case "min" | "max":
            best = min if op == "min" else max
            return best(a[0], b[0]), best(a[1], b[1])
        case "mul" | "floordiv" if op == "mul" or b[0] > 0:
            found = [corners[op](x, y) for x in a for y in b]
            return min(found), max(found)
        case "mod" if b[0] > 0:
            return (a if a[0] >= 0 and a[1] < b[0] else (0, b[1] - 1))
    return None


def multiple(e: Expr) -> int:
    """A number that divides e whatever its variables; 0 where e is always 0."""
    match e:
        case Const(value):
            return abs(value)
        case Binary("add" | "sub" | "min" | "max", a, b):
            return gcd(multiple(a), multiple(b))
        case Binary("mul", a, b):
            return multiple(a) * multiple(b)
        case Binary("mod", a, Const(c)):
            return gcd(multiple(a), c)
        case Binary("floordiv", a, Const(c)) if c > 0 and multiple(a) % c == 0:
            return multiple(a) // c
    return 1


def step(e: Expr, v: Var, turns: int) -> int | None:
    """How much e grows from one of v's values 0 to turns - 1 to the next; None where that is not known, or varies."""
    if v not in set(walk(e)):
        return 0
    match e:
        case Var():
            return 1
        case Binary("add" | "sub", a, b):
            left, right = step(a, v, turns), step(b, v, turns)
            if left is None or right is None:
                return None
            return left + right if e.op == "add" else left - right
        case Binary("mul", a, Const(c)) | Binary("mul", Const(c), a):
            grows = step(a, v, turns)
            return None if grows is None else grows * c
        case Binary("floordiv" | "mod", a, Const(c)) if c % turns == 0 and step(a, v, turns) == 1:
            if multiple(substitute(a, {v: 0})) % turns == 0:  # v never carries beyond c
                return 0 if e.op == "floordiv" else 1
    return None


def uniform(condition: Expr, v: Var, turns: int) -> bool:
    """Whether the condition is the same for all of v's values 0 to turns - 1."""
    match condition:
        case Binary("and", a, b):
            return uniform(a, v, turns) and uniform(b, v, turns)
        case Binary("ge" | "lt", a, b):
            grows = step(a, v, turns), step(b, v, turns)
            if grows == (0, 0):
                return True
            return grows == (1, 0) and isinstance(b, Const) and b.value % turns == 0 \
                and multiple(substitute(a, {v: 0})) % turns == 0
    return v not in set(walk(condition))


def touches(e: Expr) -> bool:
    """Whether memory is read."""
    return any(isinstance(part, Load) for part in walk(e))
