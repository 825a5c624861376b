"""Loop programs as functions of LLVM's IR: `void name(ptr arguments.., i64 begin, i64 end)`.

    module = ir.Module("kernels")
    emit(kernel.program, kernel.name, form, module)
    loaded = Loaded(object_code(module, form), form)       # weft.llvm.machine
    loaded.address(kernel.name)                            # call it with addresses, in the order of program.arguments

An argument's address is that of its value at index (0, 0, ..), so a border lies before it. begin and end are a range of the
turns of the program's parallel loop; a program without one has a single turn. Arguments do not overlap.

A loop of kind 'vectorise' becomes lanes: within it a value read at neighbouring places is one load, at the same place a
scalar in every lane, and otherwise lanes are read one by one. Loops of kind 'unroll' are written out. The extents of both
may depend on a loop outside by the tail of a split: that loop's last turn is then written apart. Buffers of scope 'reg' are
registers, so their indices must be known (unroll); 'local' ones lie on the stack. A loop tensorized as 'dot4' over int32
lanes of sums, with a loop of 4 within, becomes the form's sum of products of bytes (see dot.py); one tensorized as
'transpose', a square of values that is read along one of two loops and stored along the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.machine import Form
from weft.llvm.values import I64, POINTER, Pointer, Value, loop

from ..expr import Var, walk
from ..stmt import Alloc, Buffer, For, LoopProgram, Seq, Stmt, Store
from .tensorised import Tensorised
from .values import TYPES

MOST_LOCAL = 1 << 18  # values of a buffer on the stack


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


class _Emitter(Tensorised):
    def __init__(self, form: Form, builder: ir.IRBuilder, program: LoopProgram):
        super().__init__(form, builder)
        self.program = program
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
                self.store(stmt)
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

    def _loop(self, stmt: For):
        if stmt.tensorize == "dot4":
            return self.dot4(stmt)
        if stmt.tensorize == "transpose":
            return self.transpose(stmt)
        turns = self.extent(stmt.extent)
        if stmt.kind == "unroll":
            for turn in range(self._needed(stmt, turns)):
                with self.knowing(stmt.var, turn):
                    self.statement(stmt.body)
        elif stmt.kind == "vectorise":
            if self._needed(stmt, turns) > 0:
                with self.in_lanes(stmt.var, turns):
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
                self._turns(stmt, start, stop.minimum(turns - 1))
            guard = self.builder.if_then(((start < turns) & (stop >= turns)).ir) if stmt.kind == "parallel" else _nothing()
            with guard, self.knowing(stmt.var, turns - 1):
                self.statement(stmt.body)
        else:
            if turns is not None:
                self.last[stmt.var] = turns - 1
            self._turns(stmt, start, stop)

    def _turns(self, stmt: For, start: Value, stop: Value):
        with loop(self.builder, stop, start) as turn, self.knowing(stmt.var, turn):
            self.statement(stmt.body)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _has_tail(body: Stmt, var: Var) -> bool:
    """Whether the extent of a loop that must be known depends on a loop outside."""
    return any(isinstance(s, For) and (s.kind in ("unroll", "vectorise") or s.tensorize) and var in walk(s.extent)
               for s in _statements(body))
