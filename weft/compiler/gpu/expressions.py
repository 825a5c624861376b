"""Expressions as LLVM IR for a thread of a GPU: those of the CPU, with indices of 32 bits, memory of several kinds, accesses
that are known to be aligned, and registers by their numbers alone.
"""

from math import gcd

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.machine import Form
from weft.llvm.values import I32, Pointer, Value, vector

from ..cpu.values import OPERATIONS, TYPES, Values
from ..expr import Binary, Call, Cast, Const, Expr, Load, Select, Var, binary, substitute
from ..interpret import strides_of
from ..stmt import Buffer
from .ranges import interval, multiple, step, uniform

SIZES = {"int8": 1, "uint8": 1, "bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}  # bytes of a value
ALIGNED = 16  # bytes: every tensor's memory begins at a multiple; what one access moves at most
FORM = Form("ptx", "nvptx64-nvidia-cuda", (), 0, 32, "", fma=True)


class Expressions(Values):
    """Values at the builder's place. `last` has the largest value of each loop variable, for what is known of indices."""

    def __init__(self, builder: ir.IRBuilder):
        super().__init__(FORM, builder)
        self.last: dict[Var, int] = {}
        self.aligned: dict[Buffer, int] = {}  # bytes, a power of two, that divide the address of a buffer's (0, 0, ..)

    # Indices

    def index(self, e: Expr) -> Value:
        """An index as i32, of one thread; within a vectorised loop it is that of the first lane."""
        match self.known(e):
            case Const(value):
                return Value(self.builder, I32(value))
            case Var() as v:
                return self._iota() if v is self.lane else self.env[v]
            case Binary("floordiv" | "mod") as division:
                return self._rounded_down(division)
            case Binary(op, a, b):
                return OPERATIONS[op](self.index(a), self.index(b))
            case Load() | Cast() | Call() | Select() as other:
                return self.widened(other)
        raise TypeError(f"no index: {e}")

    def _iota(self) -> Value:
        return Value(self.builder, ir.Constant(vector(I32, self.lanes), [I32(k) for k in range(self.lanes)]))

    def _rounded_down(self, e: Binary) -> Value:
        """A quotient or what remains; unsigned where nothing is negative, which takes fewer instructions."""
        a, b, bounds = self.index(e.a), self.index(e.b), interval(e.a, self.last)
        if bounds is not None and bounds[0] >= 0:
            operation = self.builder.udiv if e.op == "floordiv" else self.builder.urem
            return Value(self.builder, operation(a.ir, a.like(b).ir))
        quotient = a.divided(b)
        rest = a - quotient * b
        below = rest < 0
        return below.select(rest + b, rest) if e.op == "mod" else below.select(quotient - 1, quotient)

    def offset(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Expr:
        """How many values behind the one at (0, 0, ..) a value lies."""
        return offset(buffer, tuple(self.known(i) for i in indices))

    def step(self, buffer: Buffer, indices: tuple[Expr, ...]) -> int | None:
        if self.lane is None:
            return 0
        return step(self.offset(buffer, indices), self.lane, self.lanes)

    # Memory

    def address(self, buffer: Buffer, indices: tuple[Expr, ...], more: int = 0) -> tuple[Pointer, int]:
        """Where a value (of the first lane) lies, `more` values on, and a power of two of bytes that divides its address."""
        at, size = self.offset(buffer, indices), SIZES[buffer.dtype]
        at = at if self.lane is None else substitute(at, {self.lane: 0})
        lane, self.lane = self.lane, None
        place = self.places[buffer] + self.index(binary("add", at, more)) * size
        self.lane = lane
        return place, gcd(multiple(at) * size, more * size, self.aligned[buffer])

    def register(self, buffer: Buffer, indices: tuple[Expr, ...], lane: int = 0) -> ir.AllocaInstr:
        """The register of one value of a thread's own buffer; its index must be a number here."""
        at = self.offset(buffer, indices)
        at = at if self.lane is None else substitute(at, {self.lane: lane})
        bounds = interval(at, {})
        if bounds is None or bounds[0] != bounds[1]:
            raise WeftError(f"buffer '{buffer.name}'", "registers have no addresses: their indices are numbers", f"'{at}'",
                            "to unroll the loops, or scope 'shared'")
        slots = self.slots[buffer]
        if bounds[0] not in slots:
            with self.builder.goto_entry_block():
                slots[bounds[0]] = self.builder.alloca(TYPES[buffer.dtype])
        return slots[bounds[0]]

    def _load(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Value:
        apart, kind = self.step(buffer, indices), TYPES[buffer.dtype]
        if buffer in self.slots:
            return self._load_registers(buffer, indices, apart)
        if apart not in (0, 1):
            return self.by_lane(lambda: self._load(buffer, indices))
        place, align = self.address(buffer, indices)
        x = place.load(vector(kind, self.lanes), align) if apart else place.load(kind, SIZES[buffer.dtype])
        return x.differs(0) if buffer.dtype == "bool" else x

    def _load_registers(self, buffer: Buffer, indices: tuple[Expr, ...], apart: int | None) -> Value:
        kind = TYPES[buffer.dtype]

        def load(lane: int) -> Value:
            return Value(self.builder, self.builder.load(self.register(buffer, indices, lane), typ=kind))

        if not apart:
            return load(0)
        whole = Value(self.builder, ir.Constant(vector(kind, self.lanes), ir.Undefined))
        for lane in range(self.lanes):
            whole = whole.with_lane(lane, load(lane))
        return whole

    def store(self, buffer: Buffer, indices: tuple[Expr, ...], value: Value):
        """Stores a value, or those of all lanes side by side."""
        if buffer in self.slots:
            lanes = self.lanes if value.lanes else 1
            for lane in range(lanes):
                one = value.lane(lane) if value.lanes else value
                self.builder.store(one.ir, self.register(buffer, indices, lane))
            return
        place, align = self.address(buffer, indices)
        place.store(value, align if value.lanes else SIZES[buffer.dtype])

    def _select(self, e: Select) -> Value:
        """One decision for all lanes where they agree."""
        condition = self.known(e.condition)
        if self.lane is not None and uniform(condition, self.lane, self.lanes):
            condition = substitute(condition, {self.lane: 0})
        return super()._select(Select(condition, e.then, e.otherwise))


def offset(buffer: Buffer, indices: tuple[Expr, ...]) -> Expr:
    """How many values behind the one at (0, 0, ..) a value lies."""
    at: Expr = Const(0)
    for index, stride in zip(indices, strides_of(buffer), strict=True):
        at = binary("add", at, binary("mul", index, stride))
    return at
