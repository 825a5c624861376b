"""Values of LLVM IR with Python's operators, and loops and conditions as `with` blocks: what the kernels are written in.

Integers are signed unless an operation says otherwise, and wrap; floats are those of IEEE 754. An operation of a vector and
a scalar spreads the scalar over all lanes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()
FLOATS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "sdiv": "fdiv"}


def vector(element: ir.IntType, lanes: int) -> ir.VectorType:
    """The type of `lanes` lanes."""
    return ir.VectorType(element, lanes)


def declared(module: ir.Module, name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
    """A function that LLVM knows, as this module knows it."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)


class Value:
    """A number, or a vector of numbers. A meaning of the instruction table can be traced with two of these."""

    __slots__ = ("builder", "ir")
    _UFUNCS = {np.minimum: "minimum", np.maximum: "maximum", np.add: "__add__", np.subtract: "__sub__",
               np.multiply: "__mul__"}

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.ir = builder, value

    @property
    def type(self) -> ir.Type:
        return self.ir.type

    @property
    def element(self) -> ir.IntType:
        return getattr(self.type, "element", self.type)

    @property
    def lanes(self) -> int:
        """Lanes of a vector, 0 of a scalar."""
        return getattr(self.type, "count", 0)

    @property
    def is_float(self) -> bool:
        return self.element in (F32, F64)

    def like(self, other) -> "Value":
        """`other` (a number or a Value) as a value of this type."""
        if not isinstance(other, Value):
            constant = ir.Constant(self.element, float(other) if self.is_float else int(other))
            return Value(self.builder, ir.Constant(self.type, [constant] * self.lanes) if self.lanes else constant)
        return other.splat(self.lanes) if self.lanes and not other.lanes else other

    def splat(self, lanes: int) -> "Value":
        """This scalar in every lane."""
        kind, b = vector(self.type, lanes), self.builder
        first = b.insert_element(ir.Constant(kind, ir.Undefined), self.ir, I32(0))
        zeros = ir.Constant(vector(I32, lanes), [I32(0)] * lanes)
        return Value(b, b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros))

    def _binary(self, operation: str, other) -> "Value":
        a = self.splat(other.lanes) if isinstance(other, Value) and other.lanes and not self.lanes else self
        operation = FLOATS[operation] if self.is_float else operation
        return Value(self.builder, getattr(self.builder, operation)(a.ir, a.like(other).ir))

    def _compare(self, sign: str, other, signed: bool = True) -> "Value":
        a = self.splat(other.lanes) if isinstance(other, Value) and other.lanes and not self.lanes else self
        b = a.like(other)
        compare = self.builder.icmp_signed if signed else self.builder.icmp_unsigned
        if self.is_float:
            compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return Value(self.builder, compare(sign, a.ir, b.ir))

    def __add__(self, other):
        return self._binary("add", other)

    def __sub__(self, other):
        return self._binary("sub", other)

    def __rsub__(self, other):
        return self.like(other) - self

    def __mul__(self, other):
        return self._binary("mul", other)

    __radd__, __rmul__ = __add__, __mul__

    def divided(self, other) -> "Value":
        """Whole numbers: towards zero, by nothing that is 0. Floats: the quotient."""
        return self._binary("sdiv", other)

    def __and__(self, other):
        return self._binary("and_", other)

    def __or__(self, other):
        return self._binary("or_", other)

    def __xor__(self, other):
        return self._binary("xor", other)

    def __lshift__(self, other):
        """The amount must be below the width."""
        return self._binary("shl", other)

    def __rshift__(self, other):
        """Arithmetic; the amount must be below the width."""
        return self._binary("ashr", other)

    def logical_right(self, other) -> "Value":
        return self._binary("lshr", other)

    def __lt__(self, other):
        return self._compare("<", other)

    def __le__(self, other):
        return self._compare("<=", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def __ge__(self, other):
        return self._compare(">=", other)

    def equals(self, other) -> "Value":
        return self._compare("==", other)

    def differs(self, other) -> "Value":
        return self._compare("!=", other)

    def below(self, other) -> "Value":
        """Unsigned <."""
        return self._compare("<", other, False)

    def select(self, then, otherwise) -> "Value":
        """`then` where this condition holds; one of the two must be a Value."""
        model = then if isinstance(then, Value) else otherwise
        return Value(self.builder, self.builder.select(self.ir, model.like(then).ir, model.like(otherwise).ir))

    def minimum(self, other) -> "Value":
        """Where this is not a number, so is the result."""
        other = self.like(other)
        return (other < self).select(other, self)

    def maximum(self, other) -> "Value":
        """Where this is not a number, so is the result."""
        other = self.like(other)
        return (other > self).select(other, self)

    def call(self, name: str, *others) -> "Value":
        """An intrinsic of LLVM that is overloaded by one type (sqrt, fma, floor, roundeven, trunc, fabs, copysign, ...)."""
        arguments = [self.ir, *(self.like(other).ir for other in others)]
        suffix = {F32: "f32", F64: "f64"}.get(self.element) or f"i{self.element.width}"
        suffix = f"v{self.lanes}{suffix}" if self.lanes else suffix
        function = declared(self.builder.module, f"llvm.{name}.{suffix}", self.type, *[self.type] * len(arguments))
        return Value(self.builder, self.builder.call(function, arguments))

    def shift_right(self, amount) -> "Value":
        """Hook of isa.table.shift_right: by any amount, to the left where it is negative."""
        amount = self.like(amount)
        right = self >> amount.minimum(31).maximum(0)
        left = self << (0 - amount).minimum(31).maximum(0)
        return (amount >= 0).select(right, (amount < -31).select(self.like(0), left))

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or ufunc not in self._UFUNCS or kwargs:
            return NotImplemented
        a, b = inputs if isinstance(inputs[0], Value) else reversed(inputs)
        if not isinstance(inputs[0], Value) and ufunc is np.subtract:
            return a.like(b) - a
        return getattr(a, self._UFUNCS[ufunc])(b)

    def _to(self, operation: str, element: ir.IntType) -> "Value":
        target = vector(element, self.lanes) if self.lanes else element
        return self if target == self.type else Value(self.builder, getattr(self.builder, operation)(self.ir, target))

    def sext(self, element: ir.IntType) -> "Value":
        return self._to("sext", element)

    def zext(self, element: ir.IntType) -> "Value":
        return self._to("zext", element)

    def trunc(self, element: ir.IntType) -> "Value":
        return self._to("trunc", element)

    def to_float(self, element: ir.Type, signed: bool = True) -> "Value":
        """The nearest float32 or float64, from a whole number or another float."""
        if self.is_float:
            return self._to("fpext" if element == F64 else "fptrunc", element)
        return self._to("sitofp" if signed else "uitofp", element)

    def to_int(self, element: ir.IntType, signed: bool = True) -> "Value":
        """A float towards zero; it must be within the integer's range."""
        return self._to("fptosi" if signed else "fptoui", element)

    def bitcast(self, kind: ir.Type) -> "Value":
        return self if kind == self.type else Value(self.builder, self.builder.bitcast(self.ir, kind))

    def shuffle(self, order: list[int]) -> "Value":
        """Lanes in another order."""
        mask = ir.Constant(vector(I32, len(order)), [I32(k) for k in order])
        return Value(self.builder, self.builder.shuffle_vector(self.ir, ir.Constant(self.type, ir.Undefined), mask))

    def joined(self, other: "Value") -> "Value":
        """The lanes of this vector, then those of another of the same type."""
        mask = ir.Constant(vector(I32, 2 * self.lanes), [I32(k) for k in range(2 * self.lanes)])
        return Value(self.builder, self.builder.shuffle_vector(self.ir, other.ir, mask))

    def lane(self, index: int) -> "Value":
        return Value(self.builder, self.builder.extract_element(self.ir, I32(index)))

    def with_lane(self, index: int, value: "Value") -> "Value":
        return Value(self.builder, self.builder.insert_element(self.ir, value.ir, I32(index)))


class Pointer:
    """An address; `p + n` is n bytes on."""

    __slots__ = ("builder", "ir")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.ir = builder, value

    def __add__(self, offset) -> "Pointer":
        offset = I64(offset) if isinstance(offset, int) else offset.sext(I64).ir
        return Pointer(self.builder, self.builder.gep(self.ir, [offset], source_etype=I8))

    def load(self, kind: ir.Type, align: int = 1) -> Value:
        return Value(self.builder, self.builder.load(self.ir, align=align, typ=kind))

    def load_pointer(self) -> "Pointer":
        return Pointer(self.builder, self.builder.load(self.ir, align=8, typ=POINTER))

    def store(self, value: Value, align: int = 1):
        self.builder.store(value.ir, self.ir, align=align)


class Variable:
    """A local that may be assigned again: LLVM makes it a register."""

    def __init__(self, builder: ir.IRBuilder, value: "Value | Pointer", name: str = ""):
        self.builder, self.kind = builder, type(value)
        with builder.goto_entry_block():
            self.place = builder.alloca(value.ir.type, name=name)
        self.set(value)

    def set(self, value: "Value | Pointer"):
        self.builder.store(value.ir, self.place)

    def get(self):
        return self.kind(self.builder, self.builder.load(self.place, typ=self.place.allocated_type))


def constant(builder: ir.IRBuilder, kind: ir.Type, value: float) -> Value:
    """A constant; of a vector, the same in each lane."""
    return Value(builder, ir.Constant(kind, ir.Undefined)).like(value)


@contextmanager
def loop(builder: ir.IRBuilder, stop, start=0) -> Iterator[Value]:
    """The block runs for each i64 from start to below stop."""
    zero = Value(builder, I64(0))
    start, stop = zero.like(start), zero.like(stop).sext(I64)
    counter = Variable(builder, start.sext(I64))
    head, body, end = (builder.append_basic_block(f"loop.{part}") for part in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    index = counter.get()
    builder.cbranch((index < stop).ir, body, end)
    builder.position_at_end(body)
    yield index
    counter.set(index + 1)
    builder.branch(head)
    builder.position_at_end(end)


@contextmanager
def when(condition: Value) -> Iterator[None]:
    """The block runs where the condition holds."""
    with condition.builder.if_then(condition.ir):
        yield
