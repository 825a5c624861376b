"""The scratchpads of the compute module and what happens between them: the pipeline's stages from `operands` on.

    operands INP and WGT are read; the step waits here if it must (`stall`)
    sum      dot products; ACC (both ports) and QNT are read
    alu      the sum, or an ALU operation, is written to ACC; requantisation adds its bias
    long_1.. requantisation goes on, or a table is looked up, and writes to ACC from the last of these stages

Reads of ACC see the write of the same cycle, so a step may use what the one before it wrote. Only requantisation and
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
from .gemm import DotProducts, Windows, row_words, sum_bits
from .load import LOAD_MEMORIES
from .loops import index_layout
from .requant import LATENCY, RequantChannel, RequantLane
from .scratchpad import AccScratchpad, Scratchpad
from .steps import STEP, WINDOW
from .tables import Tables
from .writing import bits_of, enables, fill_words

STAGES = ("sum", "alu", *(f"long_{stage}" for stage in range(1, LATENCY + 1)))
LAST = STAGES[-1]
LONG_STAGES = STAGES[1:-1]  # those that requantisation works in
QNT_WORDS = 3  # of the four words of a lane; the last is reserved


class Datapath(wiring.Component):
    """From a step and its indices to ACC.

    Members
    -------
    step, window, indices: at `operands`; they must stay while `stall`.
    load_write: from the load module, into INP and WGT.
    own_write: the compute module's own loads, into ACC, QNT and LUT; only while no step is on its way. Kinds are
        indices into `memories`.
    ended: the step that ends, with `last` where its instruction does. busy: a step is on its way.
    wrote: an element of ACC is written. out_*: read port of OUT.
    """

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        lanes = config.batch * config.block_out
        super().__init__({
            "step": In(STEP), "window": In(WINDOW), "indices": In(index_layout(config)), "stall": Out(1), "ended": Out(STEP), "busy": Out(1),
            "load_write": In(write_signature(config)), "own_write": In(write_signature(config)), "wrote": Out(1),
            "out_address": In(exact_log2(config.out_depth)), "out_enable": In(1),
            "out_data": Out(config.out_bits).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        names = STAGES
        step = {name: Signal(STEP, name=f"{name}_step") for name in names}
        dst = {name: Signal(exact_log2(config.acc_depth), name=f"{name}_dst", reset_less=True) for name in names}
        src = Signal(self.indices.src.shape(), name="sum_src", reset_less=True)
        window = Signal(WINDOW, name="sum_window")
        with m.If(self.stall):
            m.d.sync += [step["sum"].eq(0), window.eq(0)]
        with m.Else():
            m.d.sync += [step["sum"].eq(self.step), window.eq(self.window)]
        m.d.sync += [src.eq(self.indices.src), dst["sum"].eq(self.indices.dst)]
        for before, after in zip(names, names[1:]):
            m.d.sync += [step[after].eq(step[before]), dst[after].eq(dst[before])]
            if before == "alu":  # only long steps go on
                with m.If(~step["alu"].long):
                    m.d.sync += step[after].eq(0)
        self._stall(m, step, dst)

        acc = self._memories(m, step, window, dst, src)
        ended_long = step[LAST].valid
        m.d.comb += [self.ended.eq(Mux(ended_long, step[LAST], Mux(step["alu"].long, 0, step["alu"]))),
                     self.busy.eq(sum((step[name].valid | step[name].last for name in names), 0) != 0)]
        return m

    def _stall(self, m, step, dst):
        waits = 0
        for name in STAGES[:-2]:
            waits = waits | step[name].long & (~self.step.long | (dst[name] == self.indices.dst))
        m.d.comb += self.stall.eq((self.step.valid | self.step.last) & waits)

    def _memories(self, m, step, window, dst, src):
        config = self.config
        words, bits = row_words(config)
        m.submodules.inp = inp = Scratchpad(config.batch * words, bits, config.inp_depth)
        m.submodules.wgt = wgt = Scratchpad(config.block_out * words, bits, config.wgt_depth)
        m.submodules.acc = acc = AccScratchpad(config)
        m.submodules.qnt = qnt = Scratchpad(config.block_out * QNT_WORDS, 32, config.qnt_depth)
        m.submodules.dots = dots = DotProducts(config)
        m.submodules.windows = windows = Windows(config)
        m.submodules.tables = tables = Tables(config, self.memories.index(Memory.LUT))
        for pad, memory in ((inp, Memory.INP), (wgt, Memory.WGT)):
            fill_words(m, pad, Shape(config, memory), LOAD_MEMORIES.index(memory), self.load_write)
        multiplies = self.step.valid & self.step.gemm & ~self.step.reset
        sums, reads = step["sum"], step["sum"].valid & ~(step["sum"].gemm & step["sum"].reset)
        m.d.comb += [
            inp.read_address.eq(self.indices.src), inp.read_enable.eq(Mux(self.window.used, self.window.slides, multiplies) & ~self.stall),
            wgt.read_address.eq(self.indices.wgt), wgt.read_enable.eq(multiplies & ~self.stall),
            dots.enable.eq(reads & sums.gemm), dots.windowed.eq(window.used),
            windows.used.eq(window.used), windows.slides.eq(window.slides),
            windows.taps.eq(self.window.taps), windows.prepare.eq(self.window.slides & ~self.stall),
            acc.dst_address.eq(dst["sum"]), acc.dst_enable.eq(reads),
            acc.src_address.eq(src), acc.src_enable.eq(reads & ~sums.gemm & ~sums.use_imm & ~sums.long),
            qnt.read_address.eq(src), qnt.read_enable.eq(sums.valid & sums.long & ~sums.lut),
            acc.out_address.eq(self.out_address), acc.out_enable.eq(self.out_enable)]
        m.d.comb += [mine.eq(its) for pair in (zip(dots.inp, inp.read_data), zip(dots.wgt, wgt.read_data),
                                               zip(windows.inp, inp.read_data), zip(dots.windows, windows.lanes),
                                               zip(self.out_data, acc.out_data)) for mine, its in pair]
        self._fill_qnt(m, qnt)
        self._tables(m, tables, acc, step, src)
        self._lanes(m, acc, qnt, dots, tables, step, dst)
        return acc

    def _fill_qnt(self, m, qnt):
        shape, kind = self._own(Memory.QNT)
        offsets = [lane * QNT_LANE_BYTES + word * 4 for lane in range(self.config.block_out) for word in range(QNT_WORDS)]
        chosen = self.own_write.valid & (self.own_write.kind == kind)
        m.d.comb += [qnt.write_address.eq(self.own_write.address),
                     qnt.write_enable.eq(enables(chosen, self.own_write, shape, offsets))]
        m.d.comb += [qnt.write_data[index].eq(bits_of(self.own_write, shape, offset, 32))
                     for index, offset in enumerate(offsets)]

    def _tables(self, m, tables, acc, step, src):
        wiring.connect(m, wiring.flipped(self.own_write), tables.write)
        table = Signal.like(tables.table, reset_less=True)
        with m.If(step["sum"].lut):
            m.d.sync += table.eq(src)
        m.d.comb += [tables.enables.eq(Cat(step[name].lut for name in LONG_STAGES)), tables.table.eq(table)]
        m.d.comb += [x.eq(element) for x, element in zip(tables.x, acc.dst_data)]

    def _own(self, memory):
        return Shape(self.config, memory), self.memories.index(memory)

    def _lanes(self, m, acc, qnt, dots, tables, step, dst):
        """ALU and requantisation of every lane, and ACC's write port."""
        config, alu = self.config, step["alu"]
        lanes = range(config.batch * config.block_out)
        (wide, wide_kind), (narrow, narrow_kind) = self._own(Memory.ACC), self._own(Memory.ACC_8BIT)
        load_wide = self.own_write.valid & (self.own_write.kind == wide_kind)
        load_narrow = self.own_write.valid & (self.own_write.kind == narrow_kind)
        loads, is_narrow, long = Signal(), Signal(), step[LAST].valid
        steps = Signal()
        m.d.comb += [loads.eq(load_wide | load_narrow), is_narrow.eq(load_narrow), steps.eq(long | alu.valid & ~alu.long),
                     self.wrote.eq(steps | loads & self.own_write.last),
                     acc.write_address.eq(Mux(loads, self.own_write.address, Mux(long, dst[LAST], dst["alu"]))),
                     acc.write_enable.eq(steps.replicate(len(lanes))
                                         | enables(load_wide, self.own_write, wide, [lane * 4 for lane in lanes])
                                         | enables(load_narrow, self.own_write, narrow, list(lanes)))]
        channels = [self._channel(m, qnt, step, channel) for channel in range(config.block_out)]
        imm = Signal(signed(config.acc_bits))
        m.d.comb += imm.eq(sign_extended(alu.imm, config.acc_bits))
        for lane in lanes:
            m.submodules[f"alu_{lane}"] = short = AluLane(sum_bits(config))
            m.submodules[f"requant_{lane}"] = requant = RequantLane()
            channel, x = channels[lane % config.block_out], acc.dst_data[lane]
            m.d.comb += [
                short.op.eq(alu.op), short.gemm.eq(alu.gemm), short.clear.eq(alu.reset), short.x.eq(x),
                short.y.eq(Mux(alu.use_imm, imm, acc.src_data[lane].as_signed())), short.total.eq(dots.sums[lane]),
                requant.enables.eq(channel.enables), requant.x.eq(x),
                requant.bias.eq(qnt.read_data[lane % config.block_out * QNT_WORDS]),
                requant.multiplier_1.eq(channel.multiplier_1),
            ]
            m.d.comb += [getattr(requant, f"control_{stage}").eq(getattr(channel, f"control_{stage}"))
                         for stage in range(2, LATENCY + 1)]
            bits = config.acc_bits
            loaded = Mux(is_narrow, sign_extended(bits_of(self.own_write, narrow, lane, 8), bits),
                         bits_of(self.own_write, wide, lane * 4, 32).as_signed())
            late = sign_extended(Mux(step[LAST].lut, tables.result[lane].as_signed(), requant.result), bits)
            m.d.comb += acc.write_data[lane].eq(Mux(loads, loaded, Mux(long, late, short.result)))

    def _channel(self, m, qnt, step, index):
        m.submodules[f"channel_{index}"] = channel = RequantChannel()
        _, multiplier, control = qnt.read_data[index * QNT_WORDS:(index + 1) * QNT_WORDS]
        m.d.comb += [channel.enables.eq(Cat(step[name].long & ~step[name].lut for name in LONG_STAGES)),
                     channel.multiplier.eq(multiplier), channel.control.eq(control)]
        return channel
