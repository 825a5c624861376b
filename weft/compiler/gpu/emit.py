"""A loop program with bound loops as a kernel in LLVM IR for NVPTX: one function that every thread runs.

    void name(ptr addrspace(1) argument, ...)      one for each argument of the program, in order

Loops over blocks and threads become registers of the GPU; loops around registers of a thread are unrolled, so that none of
them needs an address; innermost loops along memory become vectors of up to 16 bytes.
"""

from math import gcd

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.values import I1, I32, POINTER, Pointer, Value, Variable, declared

from ..cpu.values import TYPES
from ..expr import Const, Expr, Load, Var, substitute, walk
from ..interpret import strides_of
from ..schedule import THREADS
from ..stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store
from . import tensor
from .barriers import Barrier
from .expressions import ALIGNED, SIZES, Expressions
from .ranges import interval, step, uniform
from .threads import dimensions, upper

GLOBAL, SHARED = ir.PointerType(addrspace=1), ir.PointerType(addrspace=3)
REGISTERS = {f"{of}.{along}": f"llvm.nvvm.read.ptx.sreg.{name}.{along}"
             for of, name in (("blockIdx", "ctaid"), ("threadIdx", "tid")) for along in "xyz"}
BARRIER = "llvm.nvvm.barrier.cta.sync.aligned.all"
MOST_SHARED = 48 << 10  # bytes of shared memory that every GPU gives a block without being asked
SHORT = 4  # turns of a loop that is written out whatever it holds
VECTORS = (2, 4, 8, 16)  # lanes
OWN = ("local", "reg")  # scopes of what is a thread's own


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
    """own: a variable for each name of schedule.THREADS that holds the thread's number along it."""

    def __init__(self, program: LoopProgram, symbol: str, module: ir.Module):
        self.program, self.symbol, self.module = program, symbol, module
        self.sizes = dimensions(program)
        arguments = program.arguments.values()
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), [GLOBAL] * len(arguments)), symbol)
        self.function.calling_convention = "ptx_kernel"
        super().__init__(ir.IRBuilder(self.function.append_basic_block("entry")))
        # two attributes that llvmlite does not list
        set.add(self.function.attributes, '"nvvm.maxntid"="' + ",".join(map(str, self.sizes.block)) + '"')
        written = {store.buffer for store in _stores(program.body)}
        for argument, buffer in zip(self.function.args, arguments):
            argument.add_attribute("noalias")
            before = sum(low * stride for low, stride in zip(buffer.low, strides_of(buffer))) * SIZES[buffer.dtype]
            argument.attributes.align = self.aligned[buffer] = gcd(before, ALIGNED)
            if buffer not in written:
                set.add(argument.attributes, "readonly")
            self.places[buffer] = Pointer(self.builder, argument)
        self.bound: dict[Var, str] = {}
        # threads whose loops do not stand around this place
        self.outside = frozenset(name for name in THREADS if self.sizes.extents[name] > 1)
        self.own = {name: Var(name) for name in THREADS}
        self.shared = 0

    def emit(self):
        for name, v in self.own.items():
            count = self.sizes.extents[name]
            register = declared(self.module, REGISTERS[name], I32)
            self.env[v] = Value(self.builder, self.builder.call(register, [])) if count > 1 else 0
            self.last[v] = count - 1
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
                self._when(condition, body)
            case For():
                self._loop(stmt)
            case Store():
                self._store(stmt)
            case _:
                raise TypeError(f"no code for {stmt}")

    def _alloc(self, buffer: Buffer):
        if buffer in self.slots or buffer in self.places:
            return  # an unrolled loop comes here several times
        if buffer.scope == "reg":
            self.slots[buffer] = {}
        elif buffer.scope == "local":
            with self.builder.goto_entry_block():
                place = self.builder.alloca(ir.ArrayType(TYPES[buffer.dtype], buffer.span))
            place.align, place.type = ALIGNED, POINTER  # llvmlite knows it as one to the whole array
            self.places[buffer], self.aligned[buffer] = Pointer(self.builder, place), ALIGNED
        else:
            size = buffer.span * SIZES[buffer.dtype]
            self.shared += -(-size // ALIGNED) * ALIGNED
            if self.shared > MOST_SHARED:
                raise WeftError(f"program '{self.program.name}'", f"a block has {MOST_SHARED} bytes of shared memory",
                                f"{self.shared}", "smaller tiles")
            name = self.module.get_unique_name(f"{self.symbol}.{buffer.name}")
            place = ir.GlobalVariable(self.module, ir.ArrayType(ir.IntType(8), size), name, addrspace=3)
            place.linkage, place.align, place.initializer = "internal", ALIGNED, ir.Constant(place.value_type, ir.Undefined)
            self.places[buffer] = Pointer(self.builder, ir.FormattedConstant(SHARED, place.get_reference()))
            self.aligned[buffer] = ALIGNED

    # Loops and conditions

    def _loop(self, loop: For):
        extent = self.known(loop.extent)
        turns = extent.value if isinstance(extent, Const) else None
        if loop.kind in THREADS:
            self._threads(loop, extent)
        elif loop.tensorize == "mma":
            tensor.emit_mma(self, loop, self.bound, self.sizes)
        elif loop.tensorize == "dp4a":
            tensor.emit_dp4a(self, loop)
        elif loop.kind == "vectorise" and turns is not None and self._is_vector(loop.body, loop.var, turns):
            self.lane, self.lanes = loop.var, turns
            self.run(loop.body)
            self.lane, self.lanes = None, 0
        elif turns is not None and (turns <= SHORT or loop.kind in ("unroll", "vectorise") or _in_registers(loop)):
            for turn in range(turns):
                self.env[loop.var] = turn
                self.run(loop.body)
            self.env.pop(loop.var, None)
        else:
            self._counted(loop, extent)

    def _threads(self, loop: For, extent: Expr):
        """Every thread does its own turn; those beyond the extent do none."""
        v, own = loop.var, self.own[loop.kind]
        self.bound[v], self.env[v] = loop.kind, self.env[own]
        self.last[v] = min(self.last[own], upper(extent) - 1)
        before, self.outside = self.outside, self.outside - {loop.kind}
        if isinstance(extent, Const) and extent.value >= self.sizes.extents[loop.kind]:
            self.run(loop.body)
        else:
            self._when(v.lt(extent), loop.body)
        self.outside = before
        del self.bound[v], self.env[v]

    def _counted(self, loop: For, extent: Expr):
        bounds = interval(extent, self.last)
        if bounds is not None:
            self.last[loop.var] = max(bounds[1] - 1, 0)
        stop = self.index(extent)
        counter = Variable(self.builder, Value(self.builder, I32(0)))
        head, body, end = (self.builder.append_basic_block(f"{loop.var.name}.{part}") for part in ("head", "body", "end"))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        at = self.env[loop.var] = counter.get()
        self.builder.cbranch((at < stop).ir, body, end)
        self.builder.position_at_end(body)
        self.run(loop.body)
        counter.set(at + 1)
        self.builder.branch(head)
        self.builder.position_at_end(end)
        del self.env[loop.var]

    def _when(self, condition: Expr, body: Stmt):
        """The body where the condition holds; with no branch where it always does, or never."""
        condition = self.known(condition)
        if self.lane is not None:
            condition = substitute(condition, {self.lane: 0})
        if isinstance(condition, Const):
            if condition.value:
                self.run(body)
            return
        lane, self.lane = self.lane, None
        holds = self.value(condition)
        self.lane = lane
        with self.builder.if_then(holds.ir):
            self.run(body)

    def _is_vector(self, body: Stmt, v: Var, turns: int) -> bool:
        """Whether all turns are one store to values side by side, under conditions that are the same for all of them."""
        while isinstance(body, If):
            if not uniform(self.known(body.condition), v, turns):
                return False
            body = body.body
        if not isinstance(body, Store) or turns not in VECTORS:
            return False
        fits = body.buffer.scope in OWN or turns * SIZES[body.buffer.dtype] <= ALIGNED
        accumulates = any(isinstance(e, Load) and e.buffer is body.buffer for e in walk(body.value))
        return fits and not accumulates and step(self.offset(body.buffer, body.indices), v, turns) == 1

    # Stores

    def _store(self, store: Store):
        """Outside of a thread's loops, the first thread alone stores what others see."""
        if store.buffer.scope in OWN or not self.outside:
            return self._store_here(store)
        holds = Value(self.builder, I1(1))
        for name in sorted(self.outside):
            holds = holds & self.env[self.own[name]].equals(0)
        with self.builder.if_then(holds.ir):
            self._store_here(store)
        return None

    def _store_here(self, store: Store):
        value = self.cast(self.value(store.value), store.value.dtype, store.buffer.dtype)
        if self.lane is not None and not value.lanes:
            value = value.splat(self.lanes)
        self.store(store.buffer, store.indices, value)


def _in_registers(loop: For) -> bool:
    """Whether a register's number depends on the loop."""
    return any(access.buffer.scope == "reg" and any(loop.var in set(walk(i)) for i in access.indices)
               for access in _accesses(loop.body))


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
