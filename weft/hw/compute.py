"""The compute module: three engines beside one another, and one order in which instructions begin and end.

    queue -> decode -> begin (tokens, an entry in flight) -> waiting for its engine -> the engine -> end (tokens)

An instruction begins when its tokens are there, there is room to wait for its engine (WAITING), and the micro-ops that it
reads or overwrites are not on their way. Those of an engine wait in order; the first one until all older instructions of
other engines that use what it uses are done (in_flight.py), and its engine can take it. It ends when it is done and all
older ones have ended.

    cycle  b - 1   its tokens are taken
           b       it begins: the trace's start; it waits from b + 1 on
           s >= b + 4  its engine takes it
           s + 1   the first step is issued; GEMM writes in the eleventh cycle after a step's issue, ALU in the ninth, what
                   takes it longer in the 18th; a LOAD's first row is asked for
           d - 1   its last write
           d       it is done, and those that wait for it are taken from d + 2 on
           e > d   it ends: the trace's end; its tokens are pushed. One instruction a cycle.

An engine of steps takes the next instruction in the cycle after that of the last step's issue: a gap of a cycle. The LOAD
engine takes the next when its rows are asked for and the one before is being unpacked.
"""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import MEMORIES, Memory, Module as Unit, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .acc import HALVES, Acc
from .decode import Decode
from .blocks import fill_command, write_signature
from .dma import LoadDma
from .elementwise import Elementwise
from .in_flight import InFlight, Waiting
from .layouts import view
from .load import bases_signature, named_bases, trace_module
from .memory_read import read_client
from .micro_ops import MicroOps
from .multiply import Multiply
from .steps import ENTRY_BITS, Engine
from .tokens import TokenGate, TokenSink, TokenSource

WAITING = {Engine.MULTIPLY: 2, Engine.ALU: 8, Engine.LOAD: 4}  # instructions that have begun, and their engine has not
COMPUTE_MEMORIES = tuple(memory for memory, info in MEMORIES.items() if info.module == Unit.COMPUTE)


class Compute(wiring.Component):
    """Members: `instructions` in; `memory` a read client; `load_write` from the load module; `out_*`: the store
    module's read port of OUT; the last lines are for the registers, `acc_write` a number of elements."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "instructions": In(stream.Signature(INSTRUCTION_BITS)), "bases": Out(bases_signature()),
            "memory": Out(read_client(config)), "load_write": In(write_signature(config)),
            "out_address": In(exact_log2(config.out_depth)), "out_enable": In(1), "out_takes": In(1),
            "out_data": Out(config.out_bits).array(config.batch * config.block_out),
            "from_load": Out(TokenSink), "to_load": Out(TokenSource),
            "from_store": Out(TokenSink), "to_store": Out(TokenSource), "clear": In(1),
            "trace": Out(trace_module), "waits_prev": Out(1), "waits_next": Out(1), "full_prev": Out(1),
            "full_next": Out(1), "busy": Out(1), "illegal": Out(1), "finish": Out(1), "gemm_step": Out(1),
            "alu_step": Out(1), "acc_write": Out(2), "moving": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.gate = gate = TokenGate()
        m.submodules.decode = decode = Decode(config, COMPUTE_MEMORIES)
        m.submodules.in_flight = flight = InFlight()
        m.submodules.dma = dma = LoadDma(config, COMPUTE_MEMORIES)
        m.submodules.multiply = multiply = Multiply(config)
        m.submodules.alu = alu = Elementwise(config, COMPUTE_MEMORIES)
        m.submodules.acc = acc = Acc(config, COMPUTE_MEMORIES)
        m.submodules.micro_ops = uops = MicroOps(config)
        wiring.connect(m, dma.memory, wiring.flipped(self.memory))
        wiring.connect(m, wiring.flipped(self.load_write), multiply.load_write)
        wiring.connect(m, wiring.flipped(self.instructions), decode.instructions)
        self._memories(m, dma, multiply, alu, acc, uops)

        gemm = view(config, Opcode.GEMM, decode.word)
        uop_range = Cat(gemm.uop_bgn, gemm.uop_end)
        slots = {engine: Waiting(depth, len(uop_range)) for engine, depth in WAITING.items()}
        for engine, slot in slots.items():
            m.submodules[f"{engine.name.lower()}_waiting"] = slot
            m.d.comb += [slot.give.eq(gate.start & (decode.head.engine == engine)), slot.word.eq(decode.word),
                         slot.head.eq(decode.head),
                         slot.index.eq(flight.index), slot.waits_for.eq(flight.waits_for), slot.still.eq(flight.still),
                         slot.mark.eq(uop_range)]
        free = Signal()
        with m.Switch(decode.head.engine):
            for engine, slot in slots.items():
                with m.Case(engine):
                    m.d.comb += free.eq(slot.free)
            with m.Default():
                m.d.comb += free.eq(1)
        for engine, unit in ((Engine.MULTIPLY, multiply), (Engine.ALU, alu)):
            slot = slots[engine]
            m.d.comb += [slot.ready.eq(unit.ready), unit.begin.eq(slot.begin), unit.word.eq(slot.held_word),
                         unit.head.eq(slot.held_head), unit.index.eq(slot.held_index)]
        loading = slots[Engine.LOAD]
        fill_command(m, dma.command, config, COMPUTE_MEMORIES, loading.held_word, named_bases(self.bases),
                     loading.held_index)
        m.d.comb += [loading.ready.eq(dma.ready), dma.begin.eq(loading.begin)]

        kept, ready = self._micro_ops_kept(m, decode, flight, slots, (multiply, alu), gate.start), Signal()
        m.d.sync += ready.eq(flight.space & free & kept)  # what is so stays so until the instruction begins
        m.d.comb += [gate.valid.eq(decode.valid), gate.ready.eq(ready), decode.take.eq(gate.start),
                     decode.clear.eq(self.clear), flight.give.eq(gate.start), flight.head.eq(decode.head),
                     decode.first_upper.eq(uops.upper), uops.first_address.eq(decode.first_uop)]
        for name, done in (("multiply", multiply.done), ("alu", alu.done)):
            wiring.connect(m, done, getattr(flight, name))
        m.d.comb += [flight.load.valid.eq(dma.done), flight.load.index.eq(dma.index)]
        self._gate(m, gate, view(config, Opcode.LOAD, decode.word))
        loaded = dma.write.last & (self._into(dma, Memory.ACC) | self._into(dma, Memory.ACC_8BIT))
        m.d.comb += [
            self.to_load.push.eq(flight.push_prev), self.to_store.push.eq(flight.push_next), self.finish.eq(flight.finish),
            self.trace.end.eq(flight.end), self.busy.eq(flight.busy | gate.start),
            self.illegal.eq(gate.start & decode.illegal | multiply.strays | alu.strays),
            self.acc_write.eq(multiply.write_enable + alu.write_enable + loaded), self.gemm_step.eq(multiply.stepped),
            self.alu_step.eq(alu.stepped), self.moving.eq(multiply.write_enable | alu.write_enable | dma.write.valid)]
        return m

    def _into(self, dma, memory):
        """Whether the LOAD engine writes this."""
        return dma.write.into[COMPUTE_MEMORIES.index(memory)]

    def _memories(self, m, dma, multiply, alu, acc, uops):
        """Who reads and writes ACC, OUT, UOP, QNT and LUT."""
        for unit in (alu.own_write, acc.own_write):
            m.d.comb += [getattr(unit, name).eq(getattr(dma.write, name)) for name in
                         dma.write.signature.members]
        m.d.comb += [uops.write_address.eq(dma.write.address), uops.write_enable.eq(self._into(dma, Memory.UOP)),
                     uops.write_data.eq(dma.write.data[:32]),
                     acc.out_address.eq(self.out_address), acc.out_enable.eq(self.out_enable),
                     acc.out_takes.eq(self.out_takes)]
        m.d.comb += [mine.eq(its) for mine, its in zip(self.out_data, acc.out_data)]
        for name, unit in (("multiply", multiply), ("alu", alu)):
            m.d.comb += [getattr(uops, f"{name}_address").eq(unit.uop_address),
                         getattr(uops, f"{name}_enable").eq(unit.uop_enable),
                         unit.uop.eq(getattr(uops, f"{name}_data")), getattr(acc, f"{name}_address").eq(unit.write_address),
                         getattr(acc, f"{name}_halves").eq(unit.write_halves)]
            m.d.comb += [its.eq(mine) for its, mine in zip(getattr(acc, f"{name}_data"), unit.write_data)]
        for port, unit, name in (("multiply_dst", multiply, "acc"), ("alu_dst", alu, "dst"), ("alu_src", alu, "src")):
            m.d.comb += [getattr(acc, f"{port}_{which}").eq(getattr(unit, f"{name}_{which}"))
                         for which in ("address", "halves")]
            for half in HALVES:
                m.d.comb += [mine.eq(its) for mine, its in zip(getattr(unit, f"{name}_{half}"),
                                                               getattr(acc, f"{port}_{half}"))]

    def _micro_ops_kept(self, m, decode, flight, slots, units, begins):
        """Whether the decoded instruction leaves alone the micro-ops that are still read, and its own have come.

        A LOAD of UOP begins when no older instruction is still to read what it fills, as far as was known two cycles before;
        one that reads micro-ops when the last of them was written long enough ago for the decoder to have seen its first
        one's half."""
        loading, late, index = Signal(), Signal(), Signal(ENTRY_BITS, reset_less=True)
        m.d.sync += [loading.eq(loading & flight.still.bit_select(index, 1)), late.eq(loading)]
        with m.If(begins & decode.head.loads_uop):
            m.d.sync += [loading.eq(1), index.eq(flight.index)]
        reads, was_read = [], Signal(reset_less=True)
        for engine, unit in zip((Engine.MULTIPLY, Engine.ALU), units):
            queue, bits = slots[engine], len(view(self.config, Opcode.GEMM, decode.word).uop_bgn)
            waiting = [(queue.valid[k], mark[:bits], mark[bits:]) for k, mark in enumerate(queue.marks)]
            reads += [valid & (decode.several | (first < decode.after) & (decode.first < after))
                      for valid, first, after in (*waiting, (unit.issuing, unit.first_uop, unit.last_uop))]
        is_read = Signal(len(reads), reset_less=True)  # by each of them
        m.d.sync += [is_read.eq(Cat(reads)), was_read.eq(is_read.any())]
        steps = (decode.head.engine == Engine.MULTIPLY) | (decode.head.engine == Engine.ALU)
        kept = Signal(name="micro_ops_kept")
        m.d.comb += kept.eq(~(decode.head.loads_uop & was_read) & ~(steps & (loading | late)))
        return kept

    def _gate(self, m, gate, header):
        wiring.connect(m, gate.from_prev, wiring.flipped(self.from_load))
        wiring.connect(m, gate.from_next, wiring.flipped(self.from_store))
        for mine, theirs in ((gate.to_prev, self.to_load), (gate.to_next, self.to_store)):
            m.d.comb += [mine.space.eq(theirs.space), theirs.reserve.eq(mine.reserve)]
        m.d.comb += [getattr(gate, name).eq(getattr(header, name))
                     for name in ("pop_prev", "pop_next", "push_prev", "push_next")]
        m.d.comb += [gate.clear.eq(self.clear), self.waits_prev.eq(gate.waits_prev), self.waits_next.eq(gate.waits_next),
                     self.full_prev.eq(gate.full_prev), self.full_next.eq(gate.full_next), self.trace.start.eq(gate.start)]
