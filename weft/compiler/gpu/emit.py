"""A loop program with bound loops as a kernel in LLVM IR for NVPTX: one function that every thread runs.

    void name(ptr addrspace(1) argument, ...)      one for each argument of the program, in order

Loops over blocks and threads become registers of the GPU; loops around registers of a thread are unrolled, so that none of
them needs an address; innermost loops along memory become vectors of up to 16 bytes.
"""

from dataclasses import dataclass

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.values import I32, Pointer, Value, Variable, constant, declared

from ..expr import Const, Expr, Load, Var, substitute, walk
from ..schedule import THREADS
from ..stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store
from . import tensor
from .barriers import Barrier
from .expressions import ALIGNED, SIZES, TYPES, WIDEST, Expressions, offset
from .ranges import interval, step, uniform
from .threads import dimensions, upper

GLOBAL, SHARED = ir.PointerType(addrspace=1), ir.PointerType(addrspace=3)
REGISTERS = {f"{of}.{along}": f"llvm.nvvm.read.ptx.sreg.{name}.{along}"
             for of, name in (("blockIdx", "ctaid"), ("threadIdx", "tid")) for along in "xyz"}
BARRIER = "llvm.nvvm.barrier.cta.sync.aligned.all"
MOST_SHARED = 48 << 10  # bytes of shared memory that every GPU gives a block without being asked
SHORT = 4  # turns of a loop that is written out whatever it holds


def emit(program: LoopProgram, symbol: str, module: ir.Module | None = None) -> ir.Module:
    """The program as a function `symbol` of an IR module: a new one, or one that holds others already.

    Raises
    ------
    WeftError: for what threads cannot do, registers that are indexed by what is no number, or more shared memory than a
        block has.
    """
    module = module or ir.Module("weft")
    _Kernel(program, symbol, module).emit()
    return module


class _Kernel(Expressions):
    def __init__(self, program: LoopProgram, symbol: str, module: ir.Module):
        self.program, self.symbol, self.module = program, symbol, module
        self.sizes = dimensions(program)
        arguments = program.arguments.values()
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), [GLOBAL] * len(arguments)), symbol)
        self.function.calling_convention = "ptx_kernel"
        # a string attribute, which llvmlite's own set does not take
        set.add(self.function.attributes, '"nvvm.maxntid"="' + ",".join(map(str, self.sizes.block)) + '"')
        super().__init__(ir.IRBuilder(self.function.append_basic_block("entry")))
        written = {store.buffer for store in _stores(program.body)}
        for argument, buffer in zip(self.function.args, arguments):
            argument.add_attribute("noalias")
            argument.attributes.align = ALIGNED
            if buffer not in written:
                set.add(argument.attributes, "readonly")  # another that llvmlite does not list
            self.memory[buffer] = Pointer(self.builder, argument)
        self.bound: dict[Var, str] = {}
        self._outside = frozenset(name for name in THREADS if self.sizes.extents[name] > 1)  # whose loops are not around this place
        self.shared = 0
        self.thread_variables: dict[str, Var] = {}

    def emit(self):
        for name in THREADS:
            v = self.thread_variables[name] = Var(name)
            if self.sizes.extents[name] == 1:
                self.fixed[v] = Const(0)
                continue
            register = declared(self.module, REGISTERS[name], I32)
            self.known[v], self.last[v] = Value(self.builder, self.builder.call(register, [])), self.sizes.extents[name] - 1
        self.run(self.program.body)
        self.builder.ret_void()

    def run(self, stmt: Stmt):
        match stmt:
            case Seq(body):
                for part in body:
                    self.run(part)
            case Alloc(buffer, body):
                self._alloc(buffer)
                self.run(body)
            case Barrier():
                self.builder.call(declared(self.module, BARRIER, ir.VoidType(), I32), [I32(0)])
            case If(condition, body):
                self._when([condition], body)
            case For():
                self._loop(stmt)
            case Store():
                self._guarded(stmt, getattr(stmt, "vector", None))
            case _:
                raise TypeError(f"no code for {stmt}")

    def _alloc(self, buffer: Buffer):
        if buffer.scope != "shared":
            zero = constant(self.builder, TYPES[buffer.dtype], 0)
            if buffer not in self.registers:
                self.registers[buffer] = {k: _undefined(self.builder, zero) for k in range(buffer.span)}
            return
        if buffer in self.memory:
            return  # written out a second time, by an unrolled loop
        size = buffer.span * SIZES[buffer.dtype]
        self.shared += -(-size // ALIGNED) * ALIGNED
        if self.shared > MOST_SHARED:
            raise WeftError(f"program '{self.program.name}'", f"a block has {MOST_SHARED} bytes of shared memory", f"{self.shared}",
                            "smaller tiles")
        name = self.module.get_unique_name(f"{self.symbol}.{buffer.name}")
        place = ir.GlobalVariable(self.module, ir.ArrayType(ir.IntType(8), size), name, addrspace=3)
        place.linkage, place.align, place.initializer = "internal", ALIGNED, ir.Constant(place.value_type, ir.Undefined)
        self.memory[buffer] = Pointer(self.builder, ir.FormattedConstant(SHARED, place.get_reference()))

    # Loops and conditions

    def _loop(self, loop: For):
        extent = substitute(loop.extent, self.fixed)
        if loop.kind in THREADS:
            return self._threads(loop, extent)
        if loop.tensorize == "mma":
            self._need_whole_warps(loop)
            return tensor.emit_mma(self, loop, self.bound, self.sizes.extents)
        if loop.tensorize == "dp4a":
            return tensor.emit_dp4a(self, loop)
        if self._vectorised(loop, extent):
            return None
        turns = extent.value if isinstance(extent, Const) else None
        if turns is not None and (turns <= 1 or loop.kind == "unroll" or turns <= SHORT or self._in_registers(loop)):
            return self._unrolled(loop, turns)
        return self._counted(loop, extent)

    def _need_whole_warps(self, loop: For):
        for name, turns in tensor.MMA_THREADS.items():
            if name not in self.bound.values() or self.sizes.extents[name] != turns:
                raise WeftError(f"loop '{loop.var}'", "mma is for all 32 threads of a warp: threadIdx.x of 4, threadIdx.y of 8",
                                f"blocks of {self.sizes.block}", "bind the axes that mma's rows and columns are made of")

    def _threads(self, loop: For, extent: Expr):
        """Every thread does its own turn; those beyond the extent do none."""
        v, own = loop.var, self.thread_variables[loop.kind]
        self.bound[v] = loop.kind
        if own in self.fixed:
            self.fixed[v] = self.fixed[own]
        else:
            self.known[v], self.last[v] = self.known[own], min(self.last[own], upper(extent) - 1)
        before, self._outside = self._outside, self._outside - {loop.kind}
        enough = isinstance(extent, Const) and extent.value >= self.sizes.extents[loop.kind]
        if enough:
            self.run(loop.body)
        else:
            self._when([v.lt(extent)], loop.body)
        self._outside = before
        del self.bound[v]

    def _unrolled(self, loop: For, turns: int):
        for turn in range(turns):
            self.fixed[loop.var] = Const(turn)
            self.run(loop.body)
        self.fixed.pop(loop.var, None)

    def _counted(self, loop: For, extent: Expr):
        bounds = interval(extent, self.last)
        if bounds is not None:
            self.last[loop.var] = max(bounds[1] - 1, 0)
        stop = self.value(extent)
        counter = Variable(self.builder, constant(self.builder, I32, 0))
        head, body, end = (self.builder.append_basic_block(f"{loop.var.name}.{part}") for part in ("head", "body", "end"))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        at = self.known[loop.var] = counter.get()
        self.builder.cbranch((at < stop).ir, body, end)
        self.builder.position_at_end(body)
        self.run(loop.body)
        counter.set(at + 1)
        self.builder.branch(head)
        self.builder.position_at_end(end)

    def _in_registers(self, loop: For) -> bool:
        """Whether a register's index depends on the loop."""
        return any(access.buffer.scope in ("local", "reg") and any(loop.var in set(walk(i)) for i in access.indices)
                   for access in _accesses(loop.body))

    def _when(self, conditions: list[Expr], body: Stmt):
        """The body where the conditions hold; with no branch where they always do, or never."""
        left = []
        for condition in (substitute(c, self.fixed) for c in conditions):
            if isinstance(condition, Const):
                if not condition.value:
                    return
            else:
                left.append(condition)
        if not left:
            return self.run(body)
        holds = self._scalar(left[0])
        for condition in left[1:]:
            holds = holds & self._scalar(condition)
        with self.builder.if_then(holds.ir):
            self.run(body)
        return None

    # Stores

    def _guarded(self, store: Store, vector: tuple[Var, int] | None = None):
        """Outside of a thread's loops, the first thread alone stores what others see."""
        if store.buffer.scope in ("local", "reg") or not self._outside:
            return self._store(store, vector)
        first = [self.known[self.thread_variables[name]].equals(0) for name in sorted(self._outside)]
        holds = first[0]
        for one in first[1:]:
            holds = holds & one
        with self.builder.if_then(holds.ir):
            self._store(store, vector)
        return None

    def _store(self, store: Store, vector: tuple[Var, int] | None):
        if store.buffer.scope in ("local", "reg"):
            self.register(store.buffer, store.indices).set(self._as_stored(store, self.value(store.value)))
            return
        indices = tuple(substitute(i, self.fixed) for i in store.indices)
        if vector is None:
            value = self._as_stored(store, self.value(store.value))
            place, _ = self.address(store.buffer, indices)
            return place.store(value, SIZES[store.buffer.dtype])
        value = self._as_stored(store, self.vector(store.value, *vector))
        place, align = self.address(store.buffer, tuple(substitute(i, {vector[0]: 0}) for i in indices))
        return place.store(value, align)

    def _as_stored(self, store: Store, value: Value) -> Value:
        if store.value.dtype == store.buffer.dtype:
            return value
        return self.cast(value, store.value.dtype, store.buffer.dtype)

    def _vectorised(self, loop: For, extent: Expr) -> bool:
        """Makes one vector of an innermost loop that stores value by value, if it is one."""
        conditions, inner = [], loop.body
        while isinstance(inner, If):
            conditions.append(substitute(inner.condition, self.fixed))
            inner = inner.body
        if not isinstance(inner, Store) or not isinstance(extent, Const) or inner.buffer.scope in ("local", "reg"):
            return False
        v, turns, size = loop.var, extent.value, SIZES[inner.buffer.dtype]
        at = offset(inner.buffer, tuple(substitute(i, self.fixed) for i in inner.indices))
        if turns not in (2, 4, 8, 16) or turns * size > WIDEST or step(at, v, turns) != 1 or self._accumulates(inner) \
                or not all(uniform(c, v, turns) for c in conditions):
            return False
        self._when([substitute(c, {v: 0}) for c in conditions], _VectorStore(inner.buffer, inner.indices, inner.value, (v, turns)))
        return True

    def _accumulates(self, store: Store) -> bool:
        return any(isinstance(e, Load) and e.buffer is store.buffer for e in walk(store.value))


@dataclass(eq=False)
class _VectorStore(Store):
    """A store for several values of a variable at once."""

    vector: tuple[Var, int]


def _undefined(builder: ir.IRBuilder, model: Value) -> Variable:
    return Variable(builder, Value(builder, ir.Constant(model.type, ir.Undefined)))


def _accesses(stmt: Stmt):
    """Every load and store below a statement."""
    match stmt:
        case Store(indices=indices, value=value):
            yield stmt
            for e in (*indices, value):
                yield from (part for part in walk(e) if isinstance(part, Load))
        case For(extent=extent, body=body):
            yield from (part for part in walk(extent) if isinstance(part, Load))
            yield from _accesses(body)
        case If(body=body) | Alloc(body=body):
            yield from _accesses(body)
        case Seq(body):
            for part in body:
                yield from _accesses(part)


def _stores(stmt: Stmt):
    return (access for access in _accesses(stmt) if isinstance(access, Store))
