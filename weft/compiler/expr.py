"""Expressions: index arithmetic and arithmetic of values over buffers, as trees that are never changed.

Operators and NumPy functions build trees, so the meanings of the instruction table, written for arrays, can be traced
with symbolic arguments: `ALU_OPS[0].meaning(Load(a, (i,)), 3)` is `min(a[i], 3)`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

# the type of loop variables; values are int8, int32, bool, qnt (the parameters of a channel), or lut (a table); on the CPU
# also uint8, int64, float32 and float64
INDEX = "index"
FLOATS = ("float32", "float64")
COMPARISONS = ("ge", "lt", "eq")


class Expr:
    """Base of all expressions. `dtype` is 'index', 'bool' or that of a buffer."""

    __slots__ = ()
    dtype = INDEX

    def __add__(self, other):
        return binary("add", self, other)

    def __radd__(self, other):
        return binary("add", other, self)

    def __sub__(self, other):
        return binary("sub", self, other)

    def __rsub__(self, other):
        return binary("sub", other, self)

    def __mul__(self, other):
        return binary("mul", self, other)

    def __rmul__(self, other):
        return binary("mul", other, self)

    def __floordiv__(self, other):
        return binary("floordiv", self, other)

    def __mod__(self, other):
        return binary("mod", self, other)

    def __truediv__(self, other):
        return binary("div", self, other)

    def __rtruediv__(self, other):
        return binary("div", other, self)

    # Comparisons are spelled out, so that == keeps meaning "the same expression".
    def ge(self, other) -> "Expr":
        return binary("ge", self, other)

    def lt(self, other) -> "Expr":
        return binary("lt", self, other)

    def eq(self, other) -> "Expr":
        return binary("eq", self, other)

    def __and__(self, other):
        return binary("and", self, other)

    def shift_right(self, amount) -> "Expr":
        """Hook of isa.table.shift_right."""
        return binary("shr", self, amount)

    def requantise(self, acc) -> "Expr":
        """Hook of the requant operation: self is the qnt lane of the channel."""
        return Binary("requant", as_expr(acc), self)

    def look_up(self, acc) -> "Expr":
        """Hook of the lut operation: self is the table."""
        return Binary("lut", as_expr(acc), self)

    def astype(self, dtype: str) -> "Expr":
        return self if self.dtype == dtype else Cast(dtype, self)

    _UFUNCS = {np.minimum: "min", np.maximum: "max", np.add: "add", np.multiply: "mul", np.subtract: "sub"}

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or ufunc not in self._UFUNCS or kwargs:
            return NotImplemented
        return binary(self._UFUNCS[ufunc], *inputs)


@dataclass(frozen=True, eq=False)
class Var(Expr):
    """A loop variable; each is itself only, whatever its name."""

    name: str

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class Const(Expr):
    value: int | float
    dtype: str = INDEX

    def __str__(self):
        return str(self.value)


@dataclass(frozen=True)
class Binary(Expr):
    """`op`: add sub mul min max (index or values), floordiv mod (index or int32), div (floats), shr requant lut (int32), ge
    lt eq and (bool). Values of 8 bits are widened to int32."""

    op: str
    a: Expr
    b: Expr

    @property
    def dtype(self):
        if self.op in COMPARISONS or self.op == "and":
            return "bool"
        return _widened(self.a.dtype)

    def __str__(self):
        signs = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "ge": ">=", "lt": "<", "and": "and",
                 "div": "/", "eq": "=="}
        sign = signs.get(self.op)
        return f"({self.a} {sign} {self.b})" if sign else f"{self.op}({self.a}, {self.b})"


@dataclass(frozen=True)
class Select(Expr):
    """`then` where `condition` holds, else `otherwise`; the arm not taken is not evaluated."""

    condition: Expr
    then: Expr
    otherwise: Expr

    @property
    def dtype(self):
        return self.then.dtype

    def __str__(self):
        return f"select({self.condition}, {self.then}, {self.otherwise})"


@dataclass(frozen=True)
class Cast(Expr):
    """Wider integers extend the sign, or zeros for uint8; narrower ones keep the low bits; floats become integers towards
    zero."""

    to: str
    a: Expr

    @property
    def dtype(self):
        return self.to

    def __str__(self):
        return f"{self.to}({self.a})"


@dataclass(frozen=True)
class Load(Expr):
    """buffer[indices]; the buffer gives the type."""

    buffer: "object"  # stmt.Buffer
    indices: tuple[Expr, ...]

    @property
    def dtype(self):
        return self.buffer.dtype

    def __str__(self):
        return f"{self.buffer.name}[{', '.join(map(str, self.indices))}]"


@dataclass(frozen=True)
class Call(Expr):
    """A function of values, by its name in interpret.CALLS. `attrs`: (name, number) pairs that it needs besides."""

    name: str
    args: tuple[Expr, ...]
    dtype: str
    attrs: tuple[tuple[str, int | float], ...] = ()

    def __str__(self):
        return f"{self.name}({', '.join([*map(str, self.args), *(f'{key}={value}' for key, value in self.attrs)])})"


def call(name: str, *args: Expr, dtype: str | None = None, **attrs) -> Call:
    """A function of values; its result has the dtype of the first unless another is given."""
    return Call(name, args, dtype or args[0].dtype, tuple(attrs.items()))


def as_expr(value, dtype: str = INDEX) -> Expr:
    """A number becomes a Const; an Expr stays as it is."""
    return value if isinstance(value, Expr) else Const(float(value) if dtype in FLOATS else int(value), dtype)


def _widened(dtype: str) -> str:
    return "int32" if dtype in ("int8", "uint8") else dtype


_FOLD = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "floordiv": lambda a, b: a // b,
         "mod": lambda a, b: a % b, "min": min, "max": max, "ge": lambda a, b: int(a >= b),
         "lt": lambda a, b: int(a < b), "eq": lambda a, b: int(a == b),
         "and": lambda a, b: int(bool(a) and bool(b))}


def binary(op: str, a, b) -> Expr:
    """A Binary, folded where both sides are constant indices or one side is neutral."""
    a_type = a.dtype if isinstance(a, Expr) else (b.dtype if isinstance(b, Expr) else INDEX)
    other = _widened(a_type)
    a, b = as_expr(a, other), as_expr(b, other if op != "and" else "bool")
    if isinstance(a, Const) and isinstance(b, Const) and a.dtype == INDEX and op in _FOLD:
        return Const(_FOLD[op](a.value, b.value), "bool" if op in COMPARISONS or op == "and" else INDEX)
    if a.dtype == INDEX:
        if op == "add" and isinstance(a, Const):
            a, b = b, a
        if isinstance(b, Const) and (op, b.value) in (("add", 0), ("sub", 0), ("mul", 1), ("floordiv", 1)):
            return a
        if op == "mul" and isinstance(a, Const) and a.value == 1:
            return b
        if op == "mul" and any(isinstance(x, Const) and x.value == 0 for x in (a, b)):
            return Const(0)
        if op == "mod" and isinstance(b, Const) and b.value == 1:
            return Const(0)
    return Binary(op, a, b)


def children(e: Expr) -> tuple[Expr, ...]:
    match e:
        case Binary(_, a, b):
            return a, b
        case Select(c, t, o):
            return c, t, o
        case Cast(_, a):
            return (a,)
        case Load(_, indices):
            return indices
        case Call(_, args):
            return args
    return ()


def walk(e: Expr) -> Iterator[Expr]:
    """e and everything below it, outermost first."""
    yield e
    for child in children(e):
        yield from walk(child)


def substitute(e: Expr, values: Mapping[Var, "Expr | int"]) -> Expr:
    """e with variables replaced, folded again on the way up."""
    match e:
        case Var():
            return as_expr(values[e]) if e in values else e
        case Binary(op, a, b):
            a, b = substitute(a, values), substitute(b, values)
            return Binary(op, a, b) if op in ("requant", "lut") else binary(op, a, b)
        case Select(c, t, o):
            c = substitute(c, values)
            if isinstance(c, Const) and c.value:
                # where it never holds, it stays: a copy that is padding altogether is still a copy
                return substitute(t, values)
            return Select(c, substitute(t, values), substitute(o, values))
        case Cast(dtype, a):
            return Cast(dtype, substitute(a, values))
        case Load(buffer, indices):
            return Load(buffer, tuple(substitute(i, values) for i in indices))
        case Call(name, args, dtype, attrs):
            return Call(name, tuple(substitute(a, values) for a in args), dtype, attrs)
    return e


def affine(e: Expr) -> tuple[dict[Var, int], int] | None:
    """({variable: coefficient}, constant) where e is a sum of variables times constants, else None."""
    match e:
        case Const(value):
            return {}, value
        case Var():
            return {e: 1}, 0
        case Binary("add" | "sub" | "mul", a, b):
            left, right = affine(a), affine(b)
            if left is None or right is None:
                return None
            if e.op == "mul":
                if left[0] and right[0]:
                    return None
                (terms, constant), factor = (left, right[1]) if left[0] else (right, left[1])
                return {v: c * factor for v, c in terms.items() if c * factor}, constant * factor
            sign = 1 if e.op == "add" else -1
            terms = dict(left[0])
            for v, c in right[0].items():
                terms[v] = terms.get(v, 0) + sign * c
            return {v: c for v, c in terms.items() if c}, left[1] + sign * right[1]
    return None
