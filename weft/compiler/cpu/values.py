"""Expressions of a loop program as values of LLVM's IR: indices are i64, numbers are scalars or, within a vectorised loop,
lanes."""

from collections.abc import Callable

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.machine import Form
from weft.llvm.values import F32, F64, I1, I8, I32, I64, Pointer, Value, vector

from ..bounds import Linear
from ..expr import COMPARISONS, FLOATS, INDEX, Binary, Call, Cast, Const, Expr, Load, Select, Var, substitute, walk
from ..interpret import strides_of
from ..stmt import Buffer
from .dot import dot2
from .functions import FUNCTIONS
from .requantise import requantise

TYPES = {"int8": I8, "uint8": I8, "bool": I8, "int32": I32, "int64": I64, "float32": F32, "float64": F64}
OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "add": Value.__add__, "sub": Value.__sub__, "mul": Value.__mul__, "div": Value.divided, "min": Value.minimum,
    "max": Value.maximum, "ge": Value.__ge__, "lt": Value.__lt__, "eq": Value.equals, "and": Value.__and__}


class Values:
    """What an expression is at a place of a function.

    env: a variable's value: an int where it is known, else i64. lane: the variable of the vectorised loop around, whose
    turns are the lanes. places: where a buffer lies; slots: registers of those that have no place, by the indices of their
    first lane.
    """

    def __init__(self, form: Form, builder: ir.IRBuilder):
        self.form, self.builder = form, builder
        self.env: dict[Var, int | Value] = {}
        self.lane: Var | None = None
        self.lanes = 0
        self.places: dict[Buffer, Pointer] = {}
        self.read: dict[tuple, Value] = {}  # what was read in this block and not written since: half of LLVM's work is less
        self.slots: dict[Buffer, dict[tuple[int, ...], ir.AllocaInstr]] = {}

    # Indices

    def known(self, e: Expr) -> Expr:
        """The expression with the variables that are known put in."""
        return substitute(e, {v: value for v, value in self.env.items() if isinstance(value, int)})

    def index(self, e: Expr) -> Value:
        """An index as i64; of lanes where it depends on the vectorised loop."""
        if e.dtype not in (INDEX, "bool") and not isinstance(e, Const):
            return self.value(e).sext(I64)
        match self.known(e):
            case Const(value):
                return Value(self.builder, I64(value))
            case Var() as v:
                return self._iota() if v is self.lane else self.env[v]
            case Binary("floordiv" | "mod" as op, a, Const(divisor)):
                return _divided(self.index(a), divisor, op)
            case Binary(op, a, b):
                return OPERATIONS[op](self.index(a), self.index(b))
        raise TypeError(f"no index: {e}")

    def _iota(self) -> Value:
        return Value(self.builder, ir.Constant(vector(I64, self.lanes), [I64(k) for k in range(self.lanes)]))

    def flat(self, buffer: Buffer, indices: tuple[Expr, ...]) -> tuple[Linear, list[tuple[Expr, int]]]:
        """The index of a value in its memory: a sum of variables, and what is none, as (expression, factor)."""
        total, rest = Linear(), []
        for e, stride in zip(indices, strides_of(buffer)):
            e = self.known(e)
            linear = Linear.of(e)
            if linear is None:
                rest.append((e, stride))
            else:
                total += linear * stride
        return total, rest

    def depends_on_lane(self, e: Expr) -> bool:
        return self.lane is not None and any(v is self.lane for v in walk(e))

    def step(self, buffer: Buffer, indices: tuple[Expr, ...]) -> int | None:
        """How far apart the values of two neighbouring lanes are; None where that varies."""
        total, rest = self.flat(buffer, indices)
        return None if any(self.depends_on_lane(e) for e, _ in rest) else total.coefficient(self.lane)

    def pointer(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Pointer:
        """The address of the value, of the first lane; outer loops' parts are added first, so that they leave inner
        loops."""
        total, rest = self.flat(buffer, indices)
        size, place = bytes_of(buffer.dtype), self.places[buffer]
        for v in self.env:
            factor = total.coefficient(v)
            if factor and v is not self.lane:
                place += self.env[v] * (factor * size)
        for e, factor in rest:
            place += self.index(e) * (factor * size)
        return place + total.constant * size if total.constant else place

    def slot(self, buffer: Buffer, indices: tuple[Expr, ...]) -> ir.AllocaInstr:
        """The register of a value in registers, or of all lanes, which are neighbours along one axis."""
        places = [Linear.of(self.known(e)) for e in indices]
        factors = [0 if place is None else place.coefficient(self.lane) for place in places]
        step, key = sum(map(abs, factors)), tuple(place and place.constant for place in places)
        unknown = None in places or any(v is not self.lane for place in places for v, _ in place.terms)
        if unknown or step > 1 or -1 in factors:
            raise WeftError(f"buffer '{buffer.name}'", "values in registers have indices that are known, lanes one apart",
                            ", ".join(map(str, indices)), "unroll for the loops around")
        kind = vector(TYPES[buffer.dtype], self.lanes) if step else TYPES[buffer.dtype]
        slots = self.slots[buffer]
        if key not in slots:
            with self.builder.goto_entry_block():
                slots[key] = self.builder.alloca(kind)
        if slots[key].allocated_type != kind:
            raise WeftError(f"buffer '{buffer.name}'", "values in registers are read as they were written",
                            f"{kind} of {slots[key].allocated_type}", "equal loops for both")
        return slots[key]

    # Values

    def value(self, e: Expr) -> Value:
        """A number, or lanes of it; a condition is of i1."""
        if e.dtype == INDEX:
            return self.index(e)
        match e:
            case Const(value, dtype):
                kind = I1 if dtype == "bool" else TYPES[dtype]
                return Value(self.builder, ir.Constant(kind, ir.Undefined)).like(value)
            case Load(buffer, indices):
                return self._load(buffer, indices)
            case Cast(to, a):
                return self.cast(self.value(a), a.dtype, to)
            case Select():
                return self._select(e)
            case Call("requantise", (acc, scale), _, attrs):
                return requantise(self.form, self.value(acc), self.value(scale), **dict(attrs))
            case Call(name, args):
                return FUNCTIONS[name](*(self.value(a) for a in args))
            case Binary("add", a, Binary("mul", x, y)) if e.dtype in FLOATS:
                return self._alike("fmuladd", x, y, a)
            case Binary("add", Binary("mul", x, y), b) if e.dtype in FLOATS:
                return self._alike("fmuladd", x, y, b)
            case Binary("add", a, Binary("mul", Cast("int32", Load() as x), Cast("int32", Load() as y))) if (
                    x.dtype, y.dtype) == ("uint8", "int8"):
                return self._plus_product(a, x, y)
            case Binary("floordiv" | "mod" as op, a, Const(divisor)):
                return _divided(self.widened(a), divisor, op)
            case Binary(op, a, b):
                if op in COMPARISONS and self.depends_on_lane(e) and a.dtype == INDEX:
                    return OPERATIONS[op](self.index(a), self.index(b))
                return OPERATIONS[op](self.widened(a), self.widened(b))
        raise TypeError(f"no value for {e}")

    def widened(self, e: Expr) -> Value:
        """The value; those of 8 bits as int32."""
        value = self.value(e)
        return self.cast(value, e.dtype, "int32") if e.dtype in ("int8", "uint8") else value

    def _plus_product(self, total: Expr, unsigned: Load, signed: Load) -> Value:
        a, x, y = self.value(total), self.widened(unsigned), self.widened(signed)
        lanes = max(v.lanes for v in (a, x, y))
        a, x, y = (v.splat(lanes) if lanes and not v.lanes else v for v in (a, x, y))
        done = dot2(self.form, a, x, y)
        return a + x * y if done is None else done

    def _alike(self, name: str, *arguments: Expr) -> Value:
        """An intrinsic of several arguments, all with lanes if one has them."""
        values = [self.value(a) for a in arguments]
        lanes = max(v.lanes for v in values)
        first, *others = [v.splat(lanes) if lanes and not v.lanes else v for v in values]
        return first.call(name, *others)

    def cast(self, x: Value, source: str, target: str) -> Value:
        if source == target:
            return x
        if source == INDEX:
            source = "int64"
        kind, signed = TYPES[target], source not in ("uint8", "bool")
        if source in FLOATS:
            return x.to_float(kind) if target in FLOATS else _narrowed(x.to_int(I64 if target == "int64" else I32), kind)
        if target in FLOATS:
            return x.to_float(kind, signed)
        if kind.width > x.element.width:
            return x.sext(kind) if signed else x.zext(kind)
        return _narrowed(x, kind)

    def _load(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Value:
        if buffer in self.slots:
            slot = self.slot(buffer, indices)
            return Value(self.builder, self.builder.load(slot, typ=slot.allocated_type))
        step, kind = self.step(buffer, indices), TYPES[buffer.dtype]
        if step in (0, 1):
            x = self.once(buffer, indices, vector(kind, self.lanes) if step else kind, bytes_of(buffer.dtype))
        else:
            x = self._gathered(buffer, indices)
        return x.differs(0) if buffer.dtype == "bool" else x

    def once(self, buffer: Buffer, indices: tuple[Expr, ...], kind: ir.Type, align: int, spread: int = 0) -> Value:
        """A load from the first lane's place, in `spread` lanes if that is above 0; the same one where it was read
        before."""
        total, rest = self.flat(buffer, indices)
        key = (buffer, frozenset(total.terms), total.constant, str(kind), spread, self.builder.block)
        if rest or key not in self.read:
            x = self.pointer(buffer, indices).load(kind, align)
            self.read[key] = x.splat(spread) if spread else x
        return self.read[key]

    def written(self, buffer: Buffer):
        """Forgets what was read of a buffer; arguments do not overlap."""
        self.read = {key: x for key, x in self.read.items() if key[0] is not buffer}

    def _gathered(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Value:
        """Lanes that lie anywhere."""
        total, rest = self.flat(buffer, indices)
        base, kind, at = self.places[buffer], TYPES[buffer.dtype], self.index(total.expr())
        for e, factor in rest:
            at = at + self.index(e) * factor
        joined = Value(self.builder, ir.Constant(vector(kind, self.lanes), ir.Undefined))
        for k in range(self.lanes):
            joined = joined.with_lane(k, (base + at.lane(k) * bytes_of(buffer.dtype)).load(kind, bytes_of(buffer.dtype)))
        return joined

    def by_lane(self, make: Callable[[], Value]) -> Value:
        """A value made for each lane by itself, its variable known."""
        lane, lanes, joined = self.lane, self.lanes, None
        self.lane, self.lanes = None, 0
        for k in range(lanes):
            self.env[lane] = k
            one = make()
            joined = joined or Value(self.builder, ir.Constant(vector(one.element, lanes), ir.Undefined))
            joined = joined.with_lane(k, one)
        del self.env[lane]
        self.lane, self.lanes = lane, lanes
        return joined

    def _select(self, e: Select) -> Value:
        """The arm not taken is not evaluated where it might read what is not there."""
        condition = self.known(e.condition)
        if isinstance(condition, Const):
            return self.value(e.then if condition.value else e.otherwise)
        reads = any(isinstance(x, Load) for arm in (e.then, e.otherwise) for x in walk(arm))
        if reads and _about_indices(condition):
            if self.depends_on_lane(condition):
                return self.by_lane(lambda: self._select(e))
            return self._branch(e)
        holds, then, otherwise = self.value(condition), self.value(e.then), self.value(e.otherwise)
        lanes = max(holds.lanes, then.lanes, otherwise.lanes)
        holds, then, otherwise = (v.splat(lanes) if lanes and not v.lanes else v for v in (holds, then, otherwise))
        return holds.select(then, otherwise)

    def _branch(self, e: Select) -> Value:
        b = self.builder
        arms = []
        with b.if_else(self.value(e.condition).ir) as (then, otherwise):
            for block, arm in ((then, e.then), (otherwise, e.otherwise)):
                with block:
                    x = self.value(arm)
                    x = x.splat(self.lanes) if self.lanes and not x.lanes else x
                    arms.append((x.ir, b.block))
        phi = b.phi(arms[0][0].type)
        for x, block in arms:
            phi.add_incoming(x, block)
        return Value(b, phi)


def _about_indices(condition: Expr) -> bool:
    return any(isinstance(e, Binary) and e.a.dtype == INDEX for e in walk(condition))


def _narrowed(x: Value, kind: ir.IntType) -> Value:
    return x.trunc(kind) if kind.width < x.element.width else x


def bytes_of(dtype: str) -> int:
    return {I8: 1, I32: 4, I64: 8, F32: 4, F64: 8}[TYPES[dtype]]


def _divided(x: Value, divisor: int, op: str) -> Value:
    """Rounded down, or what is left; by a positive constant."""
    quotient = x.divided(divisor)
    rest = x - quotient * divisor
    below = rest < 0
    if op == "mod":
        return below.select(rest + divisor, rest)
    return below.select(quotient - 1, quotient)
