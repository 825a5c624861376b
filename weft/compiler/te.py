"""Tensor expressions: what an operator computes, with no word on how.

A `Tensor` is a placeholder or a definition: axes and an expression of them, or a reduction. The element's axes (batch and
block) are ordinary trailing axes. Example, a matrix product:

    x = placeholder("x", {"i": 4, "k": 8}, "int8")
    w = placeholder("w", {"j": 5, "k": 8}, "int8")
    k = reduce_axis("k", 8)
    y = compute("y", {"i": 4, "j": 5}, lambda i, j: sum(x[i, k].astype("int32") * w[j, k].astype("int32"), [k]))
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from weft.isa import WeftError

from .expr import Binary, Call, Cast, Const, Expr, Load, Select, Var, as_expr, binary, walk


@dataclass(frozen=True, eq=False)
class Axis(Var):
    """A variable that runs over range(extent)."""

    extent: int
    reduce: bool = False


@dataclass(frozen=True, eq=False)
class Reduce:
    """`value` combined over `axes` by `op` ('add', 'max' or 'min') from `init`, a number or an expression of the other
    axes."""

    op: str
    init: int | float | Expr
    value: Expr
    axes: tuple[Axis, ...]

    @property
    def dtype(self) -> str:
        return self.value.dtype


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array: a placeholder where `body` is None, else defined as body at every point of `axes`.

    `tensor[i, j]` is the expression of one value of it. The trailing `element_rank` axes are one element. strides, low: of
    an argument, as in stmt.Buffer. kept: of an output, how far along each axis values are stored, () for all: what a tile
    computes beyond is dropped. into, at: of an output, another tensor whose memory it is, and where in that a point lies;
    None and () for memory of its own shape.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[Axis, ...] = ()
    body: Expr | Reduce | None = None
    element_rank: int = 2
    strides: tuple[int, ...] = ()
    low: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    into: "Tensor | None" = None
    at: tuple[Expr, ...] = ()

    def __getitem__(self, indices) -> Load:
        indices = indices if isinstance(indices, tuple) else (indices,)
        if len(indices) != len(self.shape):
            raise WeftError(f"tensor '{self.name}'", f"takes {len(self.shape)} indices", f"{len(indices)}",
                            "one index for each axis")
        return Load(self, tuple(as_expr(i) for i in indices))


def placeholder(name: str, axes: dict[str, int], dtype: str, element_rank: int = 2, strides: tuple[int, ...] = (),
                low: tuple[int, ...] = ()) -> Tensor:
    """A tensor that is given. The axes' names are for the loops of its copies."""
    variables = tuple(Axis(*axis) for axis in axes.items())
    return Tensor(name, tuple(axes.values()), dtype, variables, None, element_rank, strides, low)


def reduce_axis(name: str, extent: int) -> Axis:
    """An axis to sum or take the maximum over."""
    return Axis(name, extent, True)


def sum(value: Expr, axes: Iterable[Axis], init: int | float | Expr = 0) -> Reduce:
    """The sum of `init` and of `value` over `axes`."""
    return Reduce("add", init, value, tuple(axes))


def max(value: Expr, axes: Iterable[Axis], init: int | float | Expr) -> Reduce:
    """The largest of `init` and of `value` over `axes`."""
    return Reduce("max", init, value, tuple(axes))


def min(value: Expr, axes: Iterable[Axis], init: int | float | Expr) -> Reduce:
    """The smallest of `init` and of `value` over `axes`."""
    return Reduce("min", init, value, tuple(axes))


def compute(name: str, axes: dict[str, int], define: Callable[..., Expr | Reduce], element_rank: int = 2,
            strides: tuple[int, ...] = (), low: tuple[int, ...] = (), kept: tuple[int, ...] = (),
            into: Tensor | None = None, at: Callable[..., Iterable[Expr]] | None = None) -> Tensor:
    """A tensor defined point by point: `axes` gives names and extents, `define` the value at a point.

    Raises
    ------
    WeftError: for an extent below 1, or a reduction axis that the definition uses and does not reduce over.
    """
    for axis, extent in axes.items():
        if extent < 1:
            raise WeftError(f"tensor '{name}'", "extents must be at least 1", f"{axis} = {extent}",
                            "a tensor with something in it")
    variables = tuple(Axis(axis, extent) for axis, extent in axes.items())
    body = define(*variables)
    bound = set(variables) | (set(body.axes) if isinstance(body, Reduce) else set())
    for e in _parts(body):
        if isinstance(e, Var) and e not in bound:
            raise WeftError(f"tensor '{name}'", "every axis used must be its own or reduced over", f"'{e}'",
                            "sum(..., [axis])")
    return Tensor(name, tuple(axes.values()), body.dtype, variables, body, element_rank, strides, low, kept, into,
                  () if at is None else tuple(as_expr(e) for e in at(*variables)))


def value_of(body: Expr | Reduce) -> Expr:
    """The expression inside a definition."""
    return body.value if isinstance(body, Reduce) else body


def select(conditions: Iterable[Expr], then: Expr, otherwise: int) -> Expr:
    """`then` where all conditions hold, else the constant; `then` itself where there are no conditions."""
    joined = None
    for condition in conditions:
        joined = condition if joined is None else joined & condition
    return then if joined is None else Select(joined, then, Const(otherwise, then.dtype))


def loads(body: Expr | Reduce) -> list[Load]:
    """Every access of another tensor in a definition."""
    return [e for e in _parts(body) if isinstance(e, Load)]


def _parts(body: Expr | Reduce) -> list[Expr]:
    """All expressions in a definition."""
    first = walk(body.init) if isinstance(body, Reduce) and isinstance(body.init, Expr) else ()
    return [*first, *walk(value_of(body))]


def map_body(body: Expr | Reduce, change: Callable[[Expr], Expr]) -> Expr | Reduce:
    """The definition with its expression changed by `map_expr`."""
    if isinstance(body, Reduce):
        init = map_expr(body.init, change) if isinstance(body.init, Expr) else body.init
        return Reduce(body.op, init, map_expr(body.value, change), body.axes)
    return map_expr(body, change)


def map_expr(e: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The tree built anew from its leaves upward, with `change` at every node; casts that became idle fall away."""
    match e:
        case Binary("requant" | "lut" as op, a, b):
            return change(Binary(op, map_expr(a, change), map_expr(b, change)))
        case Binary(op, a, b):
            return change(binary(op, map_expr(a, change), map_expr(b, change)))
        case Select(c, t, o):
            return change(Select(map_expr(c, change), map_expr(t, change), map_expr(o, change)))
        case Cast(dtype, a):
            return change(map_expr(a, change).astype(dtype))
        case Load(buffer, indices):
            return change(Load(buffer, tuple(map_expr(i, change) for i in indices)))
        case Call(name, args, dtype, attrs):
            return change(Call(name, tuple(map_expr(a, change) for a in args), dtype, attrs))
    return change(e)
