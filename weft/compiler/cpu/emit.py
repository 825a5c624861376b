"""Loop programs as functions of LLVM's IR: `void name(ptr arguments.., i64 begin, i64 end)`.

    module = ir.Module("kernels")
    emit(kernel.program, kernel.name, form, module)
    loaded = Loaded(object_code(module, form), form)       # weft.llvm.machine
    loaded.address(kernel.name)                            # call it with addresses, in the order of program.arguments

An argument's address is that of its value at index (0, 0, ..), so a border lies before it. begin and end are a range of the
turns of the program's parallel loop; a program without one has a single turn. Arguments do not overlap.

A loop of kind 'vectorise' becomes lanes: within it a value read at neighbouring places is one load, at the same place a scalar in
every lane, and otherwise lanes are read one by one. Loops of kind 'unroll' are written out. The extents of both may depend on a
loop outside by the tail of a split: that loop's last turn is then written apart. Buffers of scope 'reg' are registers, so their
indices must be known (unroll); 'local' ones lie on the stack. A loop tensorized as 'dot4' over int32 lanes of sums, with a loop of
4 within, becomes the form's sum of products of bytes (see dot.py); one tensorized as 'transpose', a square of values that is read along
one of two loops and stored along the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.machine import Form
from weft.llvm.values import I32, I64, POINTER, Pointer, Value, Variable, loop, vector

from ..bounds import Linear, prune
from ..expr import Binary, Cast, Const, Expr, Load, Var, walk
from ..stmt import Alloc, Buffer, For, LoopProgram, Seq, Stmt, Store, text
from .dot import dot4
from .values import OPERATIONS, TYPES, Values, bytes_of

MOST_LOCAL = 1 << 18  # values of a buffer on the stack
HORIZONTAL = {"add", "max", "min"}


def emit(program: LoopProgram, name: str, form: Form, module: ir.Module) -> ir.Function:
    """Adds the program to the module.

    Raises
    ------
    WeftError: for what has no machine code: a buffer that is neither argument, local nor reg; an unrolled loop of unknown
        extent; two parallel loops, or one that is not the outermost.
    """
    arguments = list(program.arguments.values())
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * len(arguments) + [I64, I64]), name)
    set.add(function.attributes, '"prefer-vector-width"="512"')  # no attribute that llvmlite has a list of
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emitter = _Emitter(form, builder, program)
    for buffer, argument in zip(arguments, function.args):
        argument.add_attribute("noalias")
        emitter.places[buffer] = Pointer(builder, argument)
    begin, end = (Value(builder, argument) for argument in function.args[-2:])
    emitter.turns = begin, end
    parallel = [s for s in _statements(program.body) if isinstance(s, For) and s.kind == "parallel"]
    if len(parallel) > 1 or parallel and not emitter.outermost(program.body, parallel[0]):
        raise WeftError(f"program '{program.name}'", "has at most one parallel loop, the outermost",
                        ", ".join(str(loop_.var) for loop_ in parallel), "one parallel loop, or several kernels")
    with builder.if_then((begin < end).ir):
        emitter.statement(program.body)
    builder.ret_void()
    return function


def _statements(stmt: Stmt) -> Iterator[Stmt]:
    yield stmt
    for inner in stmt.body if isinstance(stmt, Seq) else [stmt.body] if isinstance(stmt, For | Alloc) else []:
        yield from _statements(inner)


class _Emitter(Values):
    def __init__(self, form: Form, builder: ir.IRBuilder, program: LoopProgram):
        super().__init__(form, builder)
        self.program = program
        self.last: dict[Var, int] = {}  # the largest value of a loop's variable
        self.turns: tuple[Value, Value] = ()

    def outermost(self, body: Stmt, parallel: For) -> bool:
        match body:
            case For():
                return body is parallel
            case Alloc(_, inner):
                return self.outermost(inner, parallel)
            case Seq(body):
                return any(self.outermost(s, parallel) for s in body)
        return False

    def statement(self, stmt: Stmt):
        match stmt:
            case Seq(body):
                for s in body:
                    self.statement(s)
            case Alloc(buffer, body):
                self._alloc(buffer)
                self.statement(body)
            case For():
                self._loop(stmt)
            case Store():
                self._store(stmt)
            case _:
                raise TypeError(f"no code for {stmt}")

    def _alloc(self, buffer: Buffer):
        if buffer.scope == "reg":
            self.slots[buffer] = {}
            return
        values = prod(buffer.shape)
        if buffer.scope != "local" or values > MOST_LOCAL:
            raise WeftError(f"buffer '{buffer.name}'", f"lives in reg, or in local with at most {MOST_LOCAL} values",
                            f"{values} values in {buffer.scope}", "a kernel for each part, or a smaller tile")
        with self.builder.goto_entry_block():
            place = self.builder.alloca(ir.ArrayType(TYPES[buffer.dtype], values))
        place.align, place.type = 64, POINTER  # llvmlite knows it as one to the whole array
        self.places[buffer] = Pointer(self.builder, place)

    # Loops

    def extent(self, e: Expr) -> int | None:
        """The number of turns where it is known, tails aside."""
        sums = [Linear.of(part) for part in _minima(self.known(e))]
        if None in sums or any(v not in self.last for s in sums for v, _ in s.terms):
            return None
        kept = prune(sums, self.last)
        return kept[0].constant if len(kept) == 1 and not kept[0].terms else None

    def _loop(self, stmt: For):
        if stmt.tensorize == "dot4":
            return self._dot4(stmt)
        if stmt.tensorize == "transpose":
            return self._turned(stmt)
        turns = self.extent(stmt.extent)
        if stmt.kind == "unroll":
            for turn in range(self._needed(stmt, turns)):
                with self._with(stmt.var, turn):
                    self.statement(stmt.body)
        elif stmt.kind == "vectorise":
            if self._needed(stmt, turns) > 0:
                with self._lanes(stmt.var, turns):
                    self.statement(stmt.body)
        else:
            self._counted(stmt, turns)

    def _needed(self, stmt: For, turns: int | None) -> int:
        if turns is None:
            raise WeftError(f"loop {stmt.var}", f"to {stmt.kind} it its extent must be known", str(stmt.extent),
                            "a factor that divides, or serial loops outside of it")
        return turns

    def _counted(self, stmt: For, turns: int | None):
        """A loop at run time; its last turn is apart where tails of unrolled loops within depend on it."""
        start, stop = self.turns if stmt.kind == "parallel" else (Value(self.builder, I64(0)), None)
        if stop is None:
            stop = Value(self.builder, I64(turns)) if turns is not None else self.index(stmt.extent)
        if turns is not None and _has_tail(stmt.body, stmt.var):
            self.last[stmt.var] = turns - 2
            if turns > 1:
                self._turns(stmt, start, stop.minimum(turns - 1) if stmt.kind == "parallel" else Value(self.builder, I64(turns - 1)))
            condition = (start < turns) & (stop >= turns)
            with self.builder.if_then(condition.ir) if stmt.kind == "parallel" else _nothing(), self._with(stmt.var, turns - 1):
                self.statement(stmt.body)
        else:
            if turns is not None:
                self.last[stmt.var] = turns - 1
            self._turns(stmt, start, stop)

    def _turns(self, stmt: For, start: Value, stop: Value):
        with loop(self.builder, stop, start) as turn, self._with(stmt.var, turn):
            self.statement(stmt.body)

    @contextmanager
    def _with(self, var: Var, value: int | Value) -> Iterator[None]:
        self.env[var] = value
        yield
        del self.env[var]

    @contextmanager
    def _lanes(self, var: Var, lanes: int) -> Iterator[None]:
        if self.lane is not None:
            raise WeftError(f"loop {var}", "no vectorised loop is within another", f"{self.lane} around", "unroll for one of them")
        if lanes == 1:
            with self._with(var, 0):
                yield
            return
        self.lane, self.lanes = var, lanes
        yield
        self.lane, self.lanes = None, 0

    # Statements of values

    def _store(self, stmt: Store):
        buffer, indices = stmt.buffer, stmt.indices
        in_registers = buffer in self.slots
        step = int(any(map(self.depends_on_lane, indices))) if in_registers else self.step(buffer, indices)
        if self.lanes and step == 0:
            return self._reduce_lanes(stmt)
        if self.lanes and step != 1:
            return self._scatter(stmt)
        value = self._stored(stmt.value, buffer)
        value = value.splat(self.lanes) if self.lanes and not value.lanes else value
        self._put(value, buffer, indices)

    def _put(self, value: Value, buffer: Buffer, indices: tuple[Expr, ...]):
        """A value, or lanes that are neighbours, into its place or register."""
        if buffer in self.slots:
            self.builder.store(value.ir, self.slot(buffer, indices))
        else:
            self.written(buffer)
            self.pointer(buffer, indices).store(value, bytes_of(buffer.dtype))

    def _stored(self, e: Expr, buffer: Buffer) -> Value:
        value = self.cast(self.value(e), e.dtype, buffer.dtype) if e.dtype != "bool" else self.value(e)
        if buffer.dtype == "bool":
            return value.zext(TYPES["bool"])
        return value

    def _scatter(self, stmt: Store):
        lane, lanes = self.lane, self.lanes
        self.lane, self.lanes = None, 0
        for k in range(lanes):
            with self._with(lane, k):
                self._store(stmt)
        self.lane, self.lanes = lane, lanes

    def _reduce_lanes(self, stmt: Store):
        """b[i] = op(b[i], x) over lanes of x."""
        value, own = stmt.value, Load(stmt.buffer, stmt.indices)
        if not (isinstance(value, Binary) and value.op in HORIZONTAL and value.a == own):
            raise WeftError(f"loop {self.lane}", "lanes that meet in one value are added up, or the largest or smallest is taken",
                            str(value), "vectorise for a loop over data")
        x, operation = self.widened(value.b), OPERATIONS[value.op]
        while x.lanes > 1 and x.lanes % 2 == 0:
            half = x.lanes // 2
            x = operation(x.shuffle(list(range(half))), x.shuffle(list(range(half, x.lanes))))
        total = x.lane(0) if x.lanes else x
        for k in range(1, x.lanes):
            total = operation(total, x.lane(k))
        lanes = self.lane, self.lanes
        self.lane, self.lanes = None, 0
        total = operation(self.value(own), total)
        self._put(total, stmt.buffer, stmt.indices)
        self.lane, self.lanes = lanes

    def _dot4(self, stmt: For):
        """for l: for k in range(4): sums[l] = sums[l] + int32(a) * int32(b), one of them uint8 and the other int8."""
        inner = stmt.body
        store = inner.body if isinstance(inner, For) else None
        operands = _product(store) if isinstance(store, Store) else None
        lanes = self.extent(stmt.extent)
        if operands is None or lanes is None or self.extent(inner.extent) != 4:
            raise WeftError(f"loop {stmt.var}", "dot4 is a loop over lanes of sums of four products of uint8 and int8",
                            text(stmt.body), "reorder, or a reduction axis of 4")
        if lanes <= 0:  # what a vector would have beyond the end
            return
        with self._lanes(stmt.var, lanes):
            total = self._load(store.buffer, store.indices)
            bytes_ = [self._four(operand, inner.var) for operand in operands]
            result = dot4(self.form, total, *bytes_) if lanes > 1 else dot4(self.form, total.splat(1), *bytes_).lane(0)
            self._put(result, store.buffer, store.indices)

    def _turned(self, stmt: For):
        """for i: for lane l: y[.. + l] = value, which is read along i: vectors along i, and of them those along l."""
        inner = stmt.body
        store = inner.body if isinstance(inner, For) else None
        rows, lanes = self.extent(stmt.extent), self.extent(inner.extent) if isinstance(inner, For) else None
        if not isinstance(store, Store) or rows is None or lanes is None or lanes & lanes - 1 or not 0 < rows <= lanes:
            raise WeftError(f"loop {stmt.var}", "transpose is a loop over rows of a square of lanes, a power of two",
                            text(stmt.body), "a split by the lanes")
        columns = []
        for lane in range(lanes):
            with self._with(inner.var, lane), self._lanes(stmt.var, rows):
                value = self._stored(store.value, store.buffer)
                columns.append(value if value.lanes else value.splat(rows))
        for row, value in enumerate(turned(columns)[:rows]):
            with self._with(stmt.var, row), self._lanes(inner.var, lanes):
                self._put(value, store.buffer, store.indices)

    def _four(self, operand: Load, k: Var) -> Value:
        """Four bytes along k, as an int32 in each lane."""
        total, rest = self.flat(operand.buffer, operand.indices)
        step = total.coefficient(self.lane)
        if rest or total.coefficient(k) != 1 or step not in (0, 4):
            raise WeftError(f"loop {self.lane}", "dot4 reads four neighbouring bytes, and lanes the same or the next four",
                            str(operand), "weights packed by four")
        with self._with(k, 0):
            return self.once(operand.buffer, operand.indices, vector(I32, self.lanes) if step else I32, 1, 0 if step else self.lanes)


def turned(columns: list[Value]) -> list[Value]:
    """Value l of column i as value i of row l; as many rows as columns, a power of two. Rows beyond the columns' lanes are
    anything."""
    lanes = len(columns)
    if columns[0].lanes < lanes:
        columns = [column.shuffle([k % column.lanes for k in range(lanes)]) for column in columns]
    half = lanes // 2
    step = 1
    while step < lanes:  # each time halves of all vectors are woven
        pairs = list(zip(columns[:half], columns[half:]))
        columns = [woven(a, b, first) for a, b in pairs for first in (0, half)]
        step *= 2
    return columns


def woven(a: Value, b: Value, first: int) -> Value:
    """Half of the lanes of two vectors, from `first` on, by turns."""
    order = [first + k // 2 + (k % 2) * a.lanes for k in range(a.lanes)]
    mask = ir.Constant(vector(I32, a.lanes), [I32(k) for k in order])
    return Value(a.builder, a.builder.shuffle_vector(a.ir, b.ir, mask))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _minima(e: Expr) -> list[Expr]:
    return [*_minima(e.a), *_minima(e.b)] if isinstance(e, Binary) and e.op == "min" else [e]


def _has_tail(body: Stmt, var: Var) -> bool:
    """Whether the extent of a loop that must be known depends on a loop outside."""
    return any(isinstance(s, For) and (s.kind in ("unroll", "vectorise") or s.tensorize) and var in walk(s.extent)
               for s in _statements(body))


def _product(store: Store) -> tuple[Load, Load] | None:
    """(of uint8, of int8) where the store adds their product."""
    value = store.value
    if not (isinstance(value, Binary) and value.op == "add" and value.a == Load(store.buffer, store.indices)
            and isinstance(value.b, Binary) and value.b.op == "mul"):
        return None
    sides = [side.a if isinstance(side, Cast) and side.to == "int32" else side for side in (value.b.a, value.b.b)]
    by_dtype = {side.dtype: side for side in sides if isinstance(side, Load)}
    return (by_dtype["uint8"], by_dtype["int8"]) if set(by_dtype) == {"uint8", "int8"} else None
