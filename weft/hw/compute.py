"""The compute module: LOAD of UOP, ACC, QNT and LUT, GEMM, DEPTHWISE, ALU and FINISH, one step a cycle through one pipeline.

    issue    the loops give a micro-op's address
    uop      the micro-op is there; the loops' offsets are added
    operands and on: datapath.py

The next instruction's steps follow the last one's without a gap; the stages before `operands` stand still while a step
must wait there. A LOAD begins when the steps before it are issued, and writes when they have ended.
An instruction without steps passes as a bubble, to end in order.
"""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import ALU_BY_NAME, ALU_OPS, MEMORIES, Memory, Module as Unit, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .datapath import Datapath
from .dma import LoadDma, fill_command, write_signature
from .gemm import max_taps
from .layouts import micro_op, view
from .load import bases_signature, named_bases, trace_module
from .loops import INDICES, Loops, index_layout
from .memory_read import read_client
from .scratchpad import Scratchpad
from .steps import STEP, WINDOW
from .tokens import TokenGate, TokenSink, TokenSource
from .writing import fill_words

COMPUTE_MEMORIES = tuple(memory for memory, info in MEMORIES.items() if info.module == Unit.COMPUTE)
REQUANT, LUT = ALU_BY_NAME["requant"].code, ALU_BY_NAME["lut"].code

class Compute(wiring.Component):
    """Members: `instructions` in; `memory` a read client; `load_write` from the load module; `out_*`: the store
    module's read port of OUT; the last line is for the registers."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "instructions": In(stream.Signature(INSTRUCTION_BITS)), "bases": Out(bases_signature()),
            "memory": Out(read_client(config)), "load_write": In(write_signature(config)),
            "out_address": In(exact_log2(config.out_depth)), "out_enable": In(1),
            "out_data": Out(config.out_bits).array(config.batch * config.block_out),
            "from_load": Out(TokenSink), "to_load": Out(TokenSource),
            "from_store": Out(TokenSink), "to_store": Out(TokenSource), "clear": In(1),
            "trace": Out(trace_module), "waits_prev": Out(1), "waits_next": Out(1), "full_prev": Out(1),
            "full_next": Out(1), "busy": Out(1), "illegal": Out(1), "finish": Out(1), "gemm_step": Out(1),
            "alu_step": Out(1), "acc_write": Out(1), "moving": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.gate = gate = TokenGate()
        m.submodules.dma = dma = LoadDma(config, COMPUTE_MEMORIES)
        m.submodules.loops = loops = Loops(config)
        m.submodules.datapath = datapath = Datapath(config, COMPUTE_MEMORIES)
        wiring.connect(m, dma.memory, wiring.flipped(self.memory))
        wiring.connect(m, wiring.flipped(self.load_write), datapath.load_write)
        wiring.connect(m, dma.write, datapath.own_write)
        m.d.comb += [datapath.out_address.eq(self.out_address), datapath.out_enable.eq(self.out_enable)]
        m.d.comb += [mine.eq(its) for mine, its in zip(self.out_data, datapath.out_data)]

        # The instruction at the head of the queue begins when the one before it is issued.
        word = self.instructions.payload
        head, loads, legal = Signal(STEP), Signal(), Signal()
        self._decode(m, word, loops, head, loads, legal)
        current, issue = Signal(STEP, reset_less=True), Signal(STEP)
        issuing, loading, advance = Signal(), Signal(), Signal()
        free = (~issuing | advance & issue.last) & (~loading | dma.done)
        m.d.comb += [advance.eq(~datapath.stall),
                     gate.valid.eq(self.instructions.valid), gate.ready.eq(free), self.instructions.ready.eq(gate.start),
                     dma.begin.eq(gate.start & loads), self.illegal.eq(gate.start & ~legal),
                     loops.begin.eq(gate.start), loops.word.eq(word), loops.advance.eq(advance & issuing)]
        self._gate(m, gate, view(config, Opcode.LOAD, word))
        fill_command(m, dma.command, config, COMPUTE_MEMORIES, word, named_bases(self.bases))
        with m.If(dma.done):
            m.d.sync += loading.eq(0)
        with m.If(advance & issue.last):
            m.d.sync += issuing.eq(0)
        with m.If(gate.start):
            m.d.sync += [current.eq(head), loading.eq(loads), issuing.eq(~loads)]
        m.d.comb += [issue.eq(current), issue.valid.eq(issuing & current.valid & loops.full),
                     issue.last.eq(issuing & (~current.valid | loops.last)), issue.long.eq(issuing & current.long)]
        on_the_way = self._indices(m, loops, dma, datapath, issue, issuing & current.valid, advance)

        ended, busy = datapath.ended, Signal()
        m.d.comb += [
            busy.eq(issuing | on_the_way | datapath.busy), dma.hold.eq(busy),
            self.to_load.push.eq(ended.last & ended.push_prev | dma.push_prev),
            self.to_store.push.eq(ended.last & ended.push_next | dma.push_next),
            self.finish.eq(ended.last & ended.finish), self.trace.end.eq(ended.last | dma.done),
            self.busy.eq(busy | loading | gate.start), self.acc_write.eq(datapath.wrote),
            self.gemm_step.eq(ended.valid & ended.gemm), self.alu_step.eq(ended.valid & ~ended.gemm),
            self.moving.eq(ended.valid | dma.write.valid),
        ]
        return m

    def _indices(self, m, loops, dma, datapath, issue, running, advance):
        """Stages `uop` and `operands`: the micro-op and the offsets become indices. Returns: a step is in one of them."""
        config, kind = self.config, COMPUTE_MEMORIES.index(Memory.UOP)
        m.submodules.uops = uops = Scratchpad(1, 32, config.uop_depth)
        fill_words(m, uops, dma.shapes[kind], kind, dma.write)
        m.d.comb += [uops.read_address.eq(loops.uop), uops.read_enable.eq(advance & running)]
        uop_step, operands_step = Signal(STEP), Signal(STEP)
        issue_window, uop_window, operands_window = (Signal(WINDOW, name=f"{name}_window")
                                                      for name in ("issue", "uop", "operands"))
        offsets = Signal(index_layout(config), reset_less=True)
        indices = Signal(index_layout(config), reset_less=True)
        uop = micro_op(config)(uops.read_data[0])
        with m.If(advance):
            m.d.sync += [uop_step.eq(issue), offsets.eq(loops.offsets), operands_step.eq(uop_step)]
            m.d.sync += [uop_window.eq(issue_window), operands_window.eq(uop_window)]
            m.d.sync += [getattr(indices, name).eq(getattr(uop, name) + getattr(offsets, name)) for name in INDICES]
        m.d.comb += [issue_window.used.eq(running & loops.windows), issue_window.slides.eq(running & loops.slides),
                     issue_window.taps.eq(loops.taps)]
        m.d.comb += [datapath.step.eq(operands_step), datapath.window.eq(operands_window), datapath.indices.eq(indices)]
        return uop_step.valid | uop_step.last | operands_step.valid | operands_step.last

    def _decode(self, m, word, loops, head, loads, legal):
        """What the instruction at the head is: a LOAD with something to do, steps, or nothing but tokens."""
        gemm, alu, load = (view(self.config, opcode, word) for opcode in (Opcode.GEMM, Opcode.ALU, Opcode.LOAD))
        is_load = (load.opcode == Opcode.LOAD) | (load.opcode == Opcode.LOAD_PAD)
        is_gemm, is_alu, is_finish = (load.opcode == opcode for opcode in (Opcode.GEMM, Opcode.ALU, Opcode.FINISH))
        is_depthwise, taps = load.opcode == Opcode.DEPTHWISE, view(self.config, Opcode.DEPTHWISE, word).taps
        known_taps = (taps != 0) & (taps <= max_taps(self.config))
        sums = is_gemm | is_depthwise & known_taps
        known_memory = Cat(load.memory_type == memory for memory in COMPUTE_MEMORIES).any()
        known_op = Cat(alu.alu_opcode == code for code in ALU_OPS).any()
        m.d.comb += [
            legal.eq(is_finish | sums | is_alu & known_op | is_load & (known_memory | (load.x_size == 0))),
            loads.eq(is_load & known_memory & (load.x_size != 0)),
            head.valid.eq((sums | is_alu & known_op) & ~loops.none), head.finish.eq(is_finish),
            head.push_prev.eq(load.push_prev), head.push_next.eq(load.push_next),
            head.gemm.eq(sums), head.reset.eq(is_gemm & gemm.reset), head.lut.eq(is_alu & (alu.alu_opcode == LUT) & head.valid),
            head.long.eq(is_alu & (alu.alu_opcode == REQUANT) & head.valid | head.lut),
            head.op.eq(alu.alu_opcode), head.use_imm.eq(alu.use_imm), head.imm.eq(alu.imm),
        ]

    def _gate(self, m, gate, header):
        wiring.connect(m, gate.from_prev, wiring.flipped(self.from_load))
        wiring.connect(m, gate.from_next, wiring.flipped(self.from_store))
        for mine, theirs in ((gate.to_prev, self.to_load), (gate.to_next, self.to_store)):
            m.d.comb += [mine.space.eq(theirs.space), theirs.reserve.eq(mine.reserve)]
        m.d.comb += [getattr(gate, name).eq(getattr(header, name))
                     for name in ("pop_prev", "pop_next", "push_prev", "push_next")]
        m.d.comb += [gate.clear.eq(self.clear), self.waits_prev.eq(gate.waits_prev), self.waits_next.eq(gate.waits_next),
                     self.full_prev.eq(gate.full_prev), self.full_next.eq(gate.full_next), self.trace.start.eq(gate.start)]
