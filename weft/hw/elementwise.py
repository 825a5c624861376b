"""The engine of ALU and of GEMM with reset, with QNT and LUT.

    issue    the loops give a micro-op's address
    uop      the micro-op is there; the loops' offsets are added
    read     ACC and QNT are read; the step waits here if it must, and those behind it stand still
    alu      an operation is written to ACC; requantisation adds its bias
    long_1.. requantisation goes on, or a table is looked up, and writes to ACC from the last of these stages

A read of ACC sees the write of the same cycle, so a step may use what the one before it wrote. Only requantisation and
tables (`long` steps) write later: another step waits while a long one would write after it, or too late for what it reads.
"""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory
from weft.isa.config import QNT_LANE_BYTES

from .alu import AluLane
from .dma import Shape, write_signature
from .extend import sign_extended
from .in_flight import DONE
from .layouts import micro_op
from .loops import Loops, index_layout
from .requant import LATENCY, RequantChannel, RequantLane
from .scratchpad import Scratchpad
from .steps import ALU_STEP, ENTRY_BITS, HEAD
from .tables import Tables
from .writing import bits_of, enables

STAGES = ("alu", *(f"long_{stage}" for stage in range(1, LATENCY + 1)))
LAST = STAGES[-1]
LONG_STAGES = STAGES[:-1]  # those that requantisation works in
QNT_WORDS = 3  # of the four words of a lane; the last is reserved


class Elementwise(wiring.Component):
    """Members: as of Multiply, but that it fills QNT and LUT from `own_write`, whose kinds are indices into `memories`, and
    reads two elements of ACC, `dst` and `src`."""

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        acc, lanes = exact_log2(config.acc_depth), config.batch * config.block_out
        super().__init__({
            "begin": In(1), "word": In(128), "head": In(HEAD), "index": In(ENTRY_BITS), "ready": Out(1), "issuing": Out(1),
            "first_uop": Out(exact_log2(config.uop_depth) + 1), "last_uop": Out(exact_log2(config.uop_depth) + 1),
            "uop_address": Out(exact_log2(config.uop_depth)), "uop_enable": Out(1), "uop": In(32),
            "own_write": In(write_signature(config)), "dst_address": Out(acc), "dst_enable": Out(1), "src_address": Out(acc),
            "src_enable": Out(1), "dst_data": In(config.acc_bits).array(lanes), "src_data": In(config.acc_bits).array(lanes),
            "write_address": Out(acc), "write_enable": Out(1), "write_data": Out(config.acc_bits).array(lanes),
            "done": Out(DONE), "stepped": Out(1), "strays": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.loops = loops = Loops(config, windowed=False)
        issue, current, stall = Signal(ALU_STEP), Signal(ALU_STEP, reset_less=True), Signal()
        m.d.comb += [self.ready.eq(~self.issuing | loops.last & ~stall), loops.begin.eq(self.begin), loops.word.eq(self.word),
                     loops.advance.eq(self.issuing & ~stall), self.uop_address.eq(loops.uop), self.uop_enable.eq(self.issuing & ~stall),
                     self.first_uop.eq(loops.first), self.last_uop.eq(loops.after),
                     issue.eq(current), issue.valid.eq(self.issuing), issue.last.eq(self.issuing & loops.last),
                     issue.long.eq(self.issuing & current.long)]  # what is not there must not be waited for
        with m.If(self.issuing & loops.last & ~stall):
            m.d.sync += self.issuing.eq(0)
        with m.If(self.begin):
            m.d.sync += [self.issuing.eq(1), current.index.eq(self.index)]
            m.d.sync += [getattr(current, name).eq(getattr(self.head, name)) for name in
                         ("confined", "upper", "clear", "long", "lut", "op", "use_imm", "imm")]

        uop_step, read = Signal(ALU_STEP), Signal(ALU_STEP)
        offsets, indices = Signal(index_layout(config), reset_less=True), Signal(index_layout(config), reset_less=True)
        uop = micro_op(config)(self.uop)
        with m.If(~stall):
            m.d.sync += [uop_step.eq(issue), offsets.eq(loops.offsets), read.eq(uop_step)]
            m.d.sync += [getattr(indices, name).eq(getattr(uop, name) + getattr(offsets, name)) for name in ("dst", "src")]
        step = {name: Signal(ALU_STEP, name=f"{name}_step") for name in STAGES}
        dst = {name: Signal(exact_log2(config.acc_depth), name=f"{name}_dst", reset_less=True) for name in STAGES}
        m.d.sync += [step["alu"].eq(Mux(stall, 0, read)), dst["alu"].eq(indices.dst)]
        for before, after in zip(STAGES, STAGES[1:]):
            m.d.sync += [step[after].eq(step[before]), dst[after].eq(dst[before])]
        with m.If(~step["alu"].long):  # only long steps go on
            m.d.sync += step["long_1"].eq(0)
        waits = 0
        for name in LONG_STAGES:
            waits = waits | step[name].long & (~read.long | (dst[name] == indices.dst))
        m.d.comb += stall.eq(read.valid & waits)
        self._read(m, read, indices, stall)
        self._lanes(m, read, indices, stall, step, dst)
        return m

    def _read(self, m, read, indices, stall):
        reads = read.valid & ~read.clear & ~stall
        takes_src = reads & ~read.use_imm & ~read.long
        m.d.comb += [
            self.dst_address.eq(indices.dst), self.dst_enable.eq(reads), self.src_address.eq(indices.src), self.src_enable.eq(takes_src),
            self.strays.eq(read.confined & (read.valid & (indices.dst[-1] != read.upper)
                                            | takes_src & (self.src_address[-1] != read.upper)))]

    def _lanes(self, m, read, indices, stall, step, dst):
        """The operations of every lane, and what is written."""
        config, alu = self.config, step["alu"]
        m.submodules.qnt = qnt = Scratchpad(config.block_out * QNT_WORDS, 32, config.qnt_depth)
        m.submodules.tables = tables = Tables(config, self.memories.index(Memory.LUT))
        m.d.comb += [qnt.read_address.eq(indices.src), qnt.read_enable.eq(read.valid & read.long & ~read.lut & ~stall)]
        self._fill_qnt(m, qnt)
        self._tables(m, tables, read, indices, step)
        long, done = step[LAST].valid, Signal(ALU_STEP)
        m.d.comb += [done.eq(Mux(long, step[LAST], Mux(alu.long, 0, alu))), self.done.valid.eq(done.last), self.done.index.eq(done.index),
                     self.stepped.eq(done.valid & ~done.clear), self.write_enable.eq(done.valid),
                     self.write_address.eq(Mux(long, dst[LAST], dst["alu"]))]
        channels = [self._channel(m, qnt, step, channel) for channel in range(config.block_out)]
        imm = Signal(signed(config.acc_bits))
        m.d.comb += imm.eq(sign_extended(alu.imm, config.acc_bits))
        for lane in range(config.batch * config.block_out):
            m.submodules[f"alu_{lane}"] = short = AluLane()
            m.submodules[f"requant_{lane}"] = requant = RequantLane()
            channel, x = channels[lane % config.block_out], self.dst_data[lane]
            m.d.comb += [
                short.used.eq(alu.valid & ~alu.long), short.op.eq(alu.op), short.clear.eq(alu.clear), short.x.eq(x),
                short.y.eq(Mux(alu.use_imm, imm, self.src_data[lane].as_signed())),
                requant.enables.eq(channel.enables), requant.x.eq(x),
                requant.bias.eq(qnt.read_data[lane % config.block_out * QNT_WORDS]),
                requant.multiplier_1.eq(channel.multiplier_1),
            ]
            m.d.comb += [getattr(requant, f"control_{stage}").eq(getattr(channel, f"control_{stage}"))
                         for stage in range(2, LATENCY + 1)]
            with m.If(long):
                late = Mux(step[LAST].lut, tables.result[lane].as_signed(), requant.result)
                m.d.comb += self.write_data[lane].eq(sign_extended(late, config.acc_bits))
            with m.Else():
                m.d.comb += self.write_data[lane].eq(short.result)

    def _fill_qnt(self, m, qnt):
        shape, kind = Shape(self.config, Memory.QNT), self.memories.index(Memory.QNT)
        offsets = [lane * QNT_LANE_BYTES + word * 4 for lane in range(self.config.block_out) for word in range(QNT_WORDS)]
        chosen = self.own_write.valid & (self.own_write.kind == kind)
        m.d.comb += [qnt.write_address.eq(self.own_write.address),
                     qnt.write_enable.eq(enables(chosen, self.own_write, shape, offsets))]
        m.d.comb += [qnt.write_data[index].eq(bits_of(self.own_write, shape, offset, 32))
                     for index, offset in enumerate(offsets)]

    def _tables(self, m, tables, read, indices, step):
        wiring.connect(m, wiring.flipped(self.own_write), tables.write)
        table = Signal.like(tables.table, reset_less=True)
        with m.If(read.lut):
            m.d.sync += table.eq(indices.src)
        m.d.comb += [tables.enables.eq(Cat(step[name].lut for name in LONG_STAGES)), tables.table.eq(table)]
        m.d.comb += [x.eq(element) for x, element in zip(tables.x, self.dst_data)]

    def _channel(self, m, qnt, step, index):
        m.submodules[f"channel_{index}"] = channel = RequantChannel()
        _, multiplier, control = qnt.read_data[index * QNT_WORDS:(index + 1) * QNT_WORDS]
        m.d.comb += [channel.enables.eq(Cat(step[name].long & ~step[name].lut for name in LONG_STAGES)),
                     channel.multiplier.eq(multiplier), channel.control.eq(control)]
        return channel
