"""LOAD, LOAD_PAD and STORE: rows between DRAM and scratchpads."""

from llvmlite import ir

from weft.isa import MEMORIES, Memory
from weft.llvm.values import I8, I32, I64, Pointer, Value, loop, vector, when

from .context import KERNEL, Context

LANES = 16  # int32 lanes that are narrowed or widened at a time


class _Rows:
    """What an instruction touches in DRAM: y_size rows of x_size elements; leaves the function where that is outside."""

    def __init__(self, c: Context, memory: Memory):
        bytes_ = MEMORIES[memory].dram_bytes(c.config)
        self.x, self.y = c.field("x_size"), c.field("y_size")
        self.bytes = self.x * bytes_
        self.stride = c.field("x_stride") * bytes_
        start = (c.array("bases") + 8 * memory).load(I64, 8) + c.field("dram_base") * bytes_
        end = start + self.y.equals(0).select(self.y, (self.y - 1) * self.stride + self.bytes)
        c.refuse_unless(end <= c.word("dram_size"))
        self.first = c.array("dram") + start

    def join_if(self, dense: Value):
        """Makes them one row, where the other side has them side by side (`dense`) and so has DRAM."""
        dense = dense & self.stride.equals(self.bytes)
        self.bytes = dense.select(self.bytes * self.y, self.bytes)
        self.y = dense.select(self.y.minimum(1), self.y)


def load(begin, config, prepare: dict[Memory, ir.Function]) -> ir.Function:
    """LOAD and LOAD_PAD: (state, record) -> 0, or 1 where an address is out of range. prepare: what follows, by memory."""
    c: Context = begin("load", KERNEL)
    c.leave_if(c.field("x_size").equals(0), 0)
    for memory, info in MEMORIES.items():
        if memory != Memory.OUT:
            with when(c.field("memory_type").equals(memory)):
                _load(c, memory, prepare.get(memory))
                c.done()
    c.done()
    return c.function


def _load(c: Context, memory: Memory, prepare: ir.Function | None):
    info = MEMORIES[memory]
    element = getattr(c.config, f"{info.buffer}_bytes")
    rows = _Rows(c, memory)
    top, left = c.field("y_pad_0"), c.field("x_pad_0")
    width = left + rows.x + c.field("x_pad_1")
    size = (top + rows.y + c.field("y_pad_1")) * width
    c.leave_if(size.equals(0), 0)
    first = c.field("sram_base")
    c.refuse_unless(first + size <= getattr(c.config, f"{info.buffer}_depth"))
    target = c.element(info.buffer, first)
    with when(size.differs(rows.x * rows.y)):
        _pad(c, target, size * element, info.lane_bits)
    c.count("read_bytes", rows.bytes * rows.y)
    if info.buffer == "acc":
        c.count("acc_writes", size)
    rows.join_if(width.equals(rows.x))
    with loop(c.builder, rows.y) as y:
        inside, source = target + ((top + y) * width + left) * element, rows.first + y * rows.stride
        if memory == Memory.ACC_8BIT:
            _widen(c, inside, source, rows.bytes)
        else:
            c.copy(inside, source, rows.bytes)
    if prepare:
        c.builder.call(prepare, [c.function.args[0], first.ir, size.ir])


def _pad(c: Context, target: Pointer, size: Value, lane_bits: int):
    """pad_value in every lane."""
    value = c.field("pad_value")
    if lane_bits == 8:
        c.fill(target, value, size)
    else:
        with loop(c.builder, size.divided(4)) as lane:
            (target + lane * 4).store(value.trunc(I32), 4)


def store(begin, config) -> ir.Function:
    """STORE: (state, record) -> 0, or 1 where an address is out of range, or it is not of OUT, or padded."""
    c: Context = begin("store", KERNEL)
    x, y = c.field("x_size"), c.field("y_size")
    c.leave_if(x.equals(0) | y.equals(0), 0)
    pads = c.field("y_pad_0") | c.field("y_pad_1") | c.field("x_pad_0") | c.field("x_pad_1")
    c.refuse_unless(pads.equals(0) & c.field("memory_type").equals(Memory.OUT))
    first = c.field("sram_base")
    c.refuse_unless(first + x * y <= config.acc_depth)
    rows = _Rows(c, Memory.OUT)
    c.count("write_bytes", x * y * config.out_bytes)
    rows.join_if(x.equals(x))
    source = c.element("acc", first)
    with loop(c.builder, rows.y) as row:  # rows that overlap: the later one wins
        _narrow(c, rows.first + row * rows.stride, source + row * rows.bytes * 4, rows.bytes)
    c.done()
    return c.function


def _lanes(c: Context) -> int:
    return min(LANES, c.config.batch * c.config.block_out)


def _widen(c: Context, target: Pointer, source: Pointer, lanes: Value):
    """int8 to int32."""
    step = _lanes(c)
    with loop(c.builder, lanes.divided(step)) as k:
        (target + k * (4 * step)).store((source + k * step).load(vector(I8, step)).sext(I32), 4)


def _narrow(c: Context, target: Pointer, source: Pointer, lanes: Value):
    """The low bits of int32."""
    step = _lanes(c)
    with loop(c.builder, lanes.divided(step)) as k:
        (target + k * step).store((source + k * (4 * step)).load(vector(I32, step), 4).trunc(I8), 1)
