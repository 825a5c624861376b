"""Expressions as LLVM IR for a thread: scalars, and vectors over one loop where memory lies in order along it."""

from math import gcd

from llvmlite import ir

from weft.isa import WeftError
from weft.isa.config import LUT_BYTES
from weft.isa.quantise import HALF_AWAY, HALF_EVEN, MULTIPLIER_BITS, QNT_LANE
from weft.llvm.values import F32, F64, I1, I8, I16, I32, I64, Pointer, Value, Variable, constant, vector

from ..expr import Binary, Cast, Const, Expr, Load, Select, Var, binary, substitute, walk
from ..stmt import Buffer
from .ranges import interval, multiple, step, touches, uniform

TYPES = {"index": I32, "bool": I1, "int8": I8, "uint8": I8, "int16": I16, "int32": I32, "int64": I64, "float32": F32, "float64": F64}
SIZES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "float64": 8, "qnt": QNT_LANE.itemsize,
         "lut": LUT_BYTES}  # bytes of a value
ALIGNED = 16  # bytes: where every argument and every shared buffer begins
WIDEST = 16  # bytes that one access moves at most
FLOATS = ("float32", "float64")
_SIGNS = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "and": "__and__", "min": "minimum", "max": "maximum",
          "div": "divided", "ge": "__ge__", "lt": "__lt__"}


class Expressions:
    """Values of expressions at the builder's place.

    memory: where each buffer begins that is not in registers. registers: the values of those that are, by their index.
    known: loop variables by their values; fixed: those that have a number here. last: the largest of each.
    """

    def __init__(self, builder: ir.IRBuilder):
        self.builder = builder
        self.memory: dict[Buffer, Pointer] = {}
        self.registers: dict[Buffer, dict[int, Variable]] = {}
        self.known: dict[Var, Value] = {}
        self.fixed: dict[Var, Const] = {}
        self.last: dict[Var, int] = {}

    # Scalars

    def value(self, e: Expr) -> Value:
        """The value of an expression, its loop variables being what they are here."""
        return self._scalar(substitute(e, self.fixed))

    def _scalar(self, e: Expr) -> Value:
        match e:
            case Const(value, dtype):
                return constant(self.builder, TYPES[dtype], value)
            case Var():
                return self.known[e]
            case Load(buffer, indices) if buffer.scope in ("local", "reg"):
                return self.register(buffer, indices).get()
            case Load(buffer, indices):
                place, _ = self.address(buffer, indices)
                return place.load(TYPES[buffer.dtype], SIZES[buffer.dtype])
            case Cast(to, a):
                return self.cast(self._scalar(a), a.dtype, to)
            case Select(condition, then, otherwise):
                return self._select(condition, lambda: self._scalar(then), lambda: self._scalar(otherwise),
                                    touches(then) or touches(otherwise))
            case Binary("requant", a, Load(lanes, indices)):
                return self.requantised(self._wide(self._scalar(a), a.dtype), self.address(lanes, indices)[0])
            case Binary("lut", a, Load(tables, indices)):
                entry = self._wide(self._scalar(a), a.dtype) & 255
                return (self.address(tables, indices)[0] + entry).load(I8).sext(I32)
            case Binary(op, a, b):
                return self._binary(e, op, self._scalar(a), self._scalar(b))
        raise TypeError(f"no code for {e}")

    def _binary(self, e: Binary, op: str, left: Value, right: Value) -> Value:
        if op in ("floordiv", "mod"):
            return self._divided(e, left, right)
        if e.dtype == "int32" or e.a.dtype in ("int8", "uint8"):
            left, right = self._wide(left, e.a.dtype), self._wide(right, e.b.dtype)
        if op == "shr":
            return left.shift_right(right)
        return getattr(left, _SIGNS[op])(right)

    def _divided(self, e: Binary, left: Value, right: Value) -> Value:
        """Whole numbers rounded down, and what remains; unsigned where nothing is negative."""
        bounds = interval(e.a, self.last)
        if bounds is not None and bounds[0] >= 0:
            operation = self.builder.udiv if e.op == "floordiv" else self.builder.urem
            return Value(self.builder, operation(left.ir, right.ir))
        quotient = left.divided(right)
        remainder = left - quotient * right
        below = (remainder < 0)
        if e.op == "mod":
            return below.select(remainder + right, remainder)
        return below.select(quotient - 1, quotient)

    def cast(self, value: Value, source: str, to: str) -> Value:
        """A value of dtype `source` as one of dtype `to`."""
        kind = TYPES[to]
        if to in FLOATS:
            return value.to_float(kind, source != "uint8")
        if source in FLOATS:
            return value.to_int(kind)
        if kind.width < value.element.width:
            return value.trunc(kind)
        return value.zext(kind) if source in ("uint8", "bool") else value.sext(kind)

    def _wide(self, value: Value, dtype: str) -> Value:
        return self.cast(value, dtype, "int32") if dtype in ("int8", "uint8") else value

    def _select(self, condition: Expr, then, otherwise, branches: bool) -> Value:
        """One of two values. branches: the arm that is not taken is not computed."""
        holds = self._scalar(condition)
        if not branches:
            return holds.select(then(), otherwise())
        with self.builder.if_else(holds.ir) as (yes, no):
            with yes:
                a, from_a = then(), self.builder.block
            with no:
                b, from_b = otherwise(), self.builder.block
        phi = self.builder.phi(a.type)
        phi.add_incoming(a.ir, from_a)
        phi.add_incoming(b.ir, from_b)
        return Value(self.builder, phi)

    def requantised(self, acc: Value, lane: Pointer) -> Value:
        """weft.isa.quantise.requantise of an int32 by a lane, exactly: below 2**49 a float64 holds every product."""
        words = lane.load(vector(I32, 4), QNT_LANE.itemsize)
        bias, multiplier, rest = (words.lane(k) for k in range(3))
        unused = 32 - MULTIPLIER_BITS
        factor = ((multiplier << unused) >> unused).to_float(F64)
        power = ((1023 - (rest & 63).zext(I64)) << 52).bitcast(F64)  # 2**-shift
        exact = (acc + bias).to_float(F64) * (factor * power)
        mode = rest.logical_right(6) & 3
        up = (exact + 0.5).call("floor")
        away = (exact + exact.like(0.5).call("copysign", exact)).call("trunc")
        rounded = mode.equals(HALF_EVEN).select(exact.call("roundeven"), mode.equals(HALF_AWAY).select(away, up))
        zero_point, low, high = (((rest << 24 - at) >> 24) for at in (8, 16, 24))
        moved = rounded + zero_point.to_float(F64)
        limits = low.to_float(F64), high.to_float(F64)
        return moved.maximum(limits[0]).minimum(limits[1]).to_int(I32)

    # Memory

    def register(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Variable:
        """The register of one value of a thread's own buffer; its index must be a number here."""
        at = offset(buffer, tuple(substitute(i, self.fixed) for i in indices))
        bounds = interval(at, self.last)
        if bounds is None or bounds[0] != bounds[1]:
            raise WeftError(f"buffer '{buffer.name}'", "registers have no addresses: their indices are numbers", f"'{at}'",
                            "to unroll the loops, or scope 'shared'")
        return self.registers[buffer][bounds[0]]

    def address(self, buffer: Buffer, indices: tuple[Expr, ...], more: int = 0) -> tuple[Pointer, int]:
        """Where a value lies, `more` values on, and a power of two of bytes that divides its address."""
        at, size = offset(buffer, indices), SIZES[buffer.dtype]
        bytes_in = multiple(at) * size if not isinstance(at, Const) else at.value * size
        place = self.memory[buffer] + self._scalar(binary("add", at, more)) * size
        return place, gcd(gcd(bytes_in, more * size), ALIGNED)

    # Vectors

    def vector(self, e: Expr, v: Var, turns: int) -> Value:
        """The values of e for v = 0 .. turns - 1 in one vector."""
        return self._vector(substitute(e, self.fixed), v, turns)

    def _vector(self, e: Expr, v: Var, turns: int) -> Value:
        if v not in set(walk(e)):
            return self._scalar(e).splat(turns)
        match e:
            case Load(buffer, indices) if buffer.dtype in TYPES and buffer.scope not in ("local", "reg") \
                    and step(offset(buffer, indices), v, turns) == 1:
                return self.load_vector(buffer, tuple(substitute(i, {v: 0}) for i in indices), turns)
            case Cast(to, a):
                return self.cast(self._vector(a, v, turns), a.dtype, to)
            case Select(condition, then, otherwise) if uniform(condition, v, turns):
                return self._select(substitute(condition, {v: 0}), lambda: self._vector(then, v, turns),
                                    lambda: self._vector(otherwise, v, turns), touches(then) or touches(otherwise))
            case Binary(op, a, b) if op in _SIGNS and e.dtype != "bool":
                return self._binary(e, op, self._vector(a, v, turns), self._vector(b, v, turns))
        each = [self._scalar(substitute(e, {v: k})) for k in range(turns)]
        whole = Value(self.builder, ir.Constant(vector(each[0].type, turns), ir.Undefined))
        for k, one in enumerate(each):
            whole = whole.with_lane(k, one)
        return whole

    def load_vector(self, buffer: Buffer, first: tuple[Expr, ...], turns: int) -> Value:
        place, align = self.address(buffer, first)
        return place.load(vector(TYPES[buffer.dtype], turns), align)


def offset(buffer: Buffer, indices: tuple[Expr, ...]) -> Expr:
    """How many values behind the first one a value lies."""
    at: Expr = Const(0)
    strides = buffer.strides or row_major(buffer.shape)
    for index, stride in zip(indices, strides, strict=True):
        at = binary("add", at, binary("mul", index.astype("index") if index.dtype != "index" else index, stride))
    return at


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an array whose last axis is the fastest."""
    strides: list[int] = []
    for size in reversed(shape):
        strides.insert(0, strides[0] * before if strides else 1)
        before = size
    return tuple(strides)
