"""What runs a stream: modules take turns by their tokens alone, the earliest instruction of the stream first."""

from llvmlite import ir

from weft.isa import Memory, Module, Opcode
from weft.isa.registers import TOKEN_QUEUE_DEPTH, Queue
from weft.llvm.values import I32, I64, POINTER, Pointer, Value, Variable, loop, when

from . import alu, depthwise, gemm, memory
from .context import KERNEL, Context
from .operands import prepare_inp, prepare_wgt
from .records import GIVEN, TAKEN, columns

FINISHED, STUCK = -1, -2  # what `run` returns, else the index of an instruction that cannot run
RUN = ir.FunctionType(I64, [POINTER])
EXECUTE = ir.FunctionType(I64, [POINTER, POINTER, I64])


def emit(begin, config):
    """All of an engine: `prepare`, `execute` and `run` are what Python calls."""
    prepared = {Memory.INP: prepare_inp(begin), Memory.WGT: prepare_wgt(begin)}
    load = memory.load(begin, config, prepared)
    kernels = {Opcode.LOAD: load, Opcode.LOAD_PAD: load, Opcode.STORE: memory.store(begin, config),
               Opcode.GEMM: gemm.kernel(begin, config), Opcode.DEPTHWISE: depthwise.kernel(begin, config),
               Opcode.ALU: alu.kernel(begin, config)}
    one = _one(begin, kernels)
    _prepare(begin, config, prepared)
    _execute(begin, one)
    _run(begin, one)


def _one(begin, kernels: dict[Opcode, ir.Function]) -> ir.Function:
    """What an instruction means: (state, record) -> 0, or 1 where it cannot run."""
    c: Context = begin("one", KERNEL)
    other = c.function.append_basic_block("other")
    switch = c.builder.switch(c.field("opcode").ir, other)
    for opcode, kernel in kernels.items():
        block = c.function.append_basic_block(opcode.name.lower())
        switch.add_case(I64(opcode), block)
        c.builder.position_at_end(block)
        c.builder.ret(c.builder.call(kernel, c.function.args))
    c.builder.position_at_end(other)
    c.done()
    return c.function


def _prepare(begin, config, prepared: dict[Memory, ir.Function]):
    """INP and WGT as GEMM wants them, all of them: Python may have written the scratchpads."""
    c: Context = begin("prepare", RUN, True)
    for mem, depth in ((Memory.INP, config.inp_depth), (Memory.WGT, config.wgt_depth)):
        c.builder.call(prepared[mem], [c.function.args[0], I64(0), I64(depth)])
    c.builder.ret(I64(0))


def _record(c: Context, index: Value) -> Pointer:
    return c.array("records") + index * (4 * len(columns()))


def _execute(begin, one: ir.Function):
    """Some instructions, one after the other, whatever their tokens: (state, indices int32, how many) -> how many ran."""
    c: Context = begin("execute", EXECUTE, True)
    with loop(c.builder, c.value(2)) as k:
        index = (c.pointer(1) + k * 4).load(I32, 4)
        failed = Value(c.builder, c.builder.call(one, [c.function.args[0], _record(c, index.sext(I64)).ir]))
        with when(failed.differs(0)):
            c.builder.ret(k.ir)
    c.builder.ret(c.function.args[2])


def _run(begin, one: ir.Function):
    """From where the heads stand until FINISH: FINISHED, STUCK, or the index of an instruction that cannot run, whose tokens
    are taken."""
    c: Context = begin("run", RUN, True)
    b = c.builder
    again, chosen, stuck = (c.function.append_basic_block(name) for name in ("again", "chosen", "stuck"))
    b.branch(again)
    b.position_at_end(again)
    index, module = _earliest(c)
    b.cbranch((index < 0).ir, stuck, chosen)
    b.position_at_end(stuck)
    b.ret(I64(STUCK))
    b.position_at_end(chosen)
    head = c.array("heads") + module * 8
    head.store(head.load(I64, 8) + 1, 8)
    record = _record(c, index)
    _move_tokens(c, record, TAKEN, -1)
    failed = Value(b, b.call(one, [c.function.args[0], record.ir]))
    with when(failed.differs(0)):
        b.ret(index.ir)
    _move_tokens(c, record, GIVEN, 1)
    executed = c.word("executed")
    (c.array("order") + executed * 4).store(index.trunc(I32), 4)
    c.set_word("executed", executed + 1)
    with when(index.equals(c.word("finish"))):
        b.ret(I64(FINISHED))
    b.branch(again)


def _tokens(c: Context, queue: Queue) -> Pointer:
    return c.array("tokens") + 8 * queue


def _earliest(c: Context) -> tuple[Value, Value]:
    """(index, module) of the earliest instruction that can run; index is negative where there is none."""
    b = c.builder
    index, module = Variable(b, c.number(-1)), Variable(b, c.number(0))
    for m in Module:
        head = (c.array("heads") + 8 * m).load(I64, 8)
        with when(head < (c.array("starts") + 8 * (m + 1)).load(I64, 8)):
            mine = (c.array("queues") + head * 4).load(I32, 4).sext(I64)
            with when(index.get().equals(-1) | (mine < index.get())):
                with when(_can_run(c, _record(c, mine))):
                    index.set(mine)
                    module.set(c.number(m))
    return index.get(), module.get()


def _can_run(c: Context, record: Pointer) -> Value:
    """Whether every queue has a token that it takes, and room for one that it gives."""
    taken, given = ((record + 4 * columns()[name]).load(I32, 4).sext(I64) for name in (TAKEN, GIVEN))
    lacking, full = c.number(0), c.number(0)
    for queue in Queue:
        tokens = _tokens(c, queue).load(I64, 8)
        lacking = lacking | tokens.equals(0).zext(I64) << queue
        full = full | (tokens >= TOKEN_QUEUE_DEPTH).zext(I64) << queue
    return (taken & lacking | given & full).equals(0)


def _move_tokens(c: Context, record: Pointer, column: str, sign: int):
    queues = (record + 4 * columns()[column]).load(I32, 4).sext(I64)
    with when(queues.differs(0)):
        for queue in Queue:
            place = _tokens(c, queue)
            place.store(place.load(I64, 8) + (queues >> queue & 1) * sign, 8)
