"""The load module: LOAD of INP and WGT. The next instruction's reads begin while the last one's data still comes."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from weft.isa import MEMORIES, Memory, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .axi import ADDRESS_BITS
from .blocks import fill_command, write_signature
from .dma import LoadDma
from .layouts import view
from .memory_read import read_client
from .tokens import TokenGate, TokenSink, TokenSource

LOAD_MEMORIES = (Memory.INP, Memory.WGT)
BASES = tuple(dict.fromkeys(info.buffer for info in MEMORIES.values()))

trace_module = wiring.Signature({"start": Out(1), "end": Out(1)})


def bases_signature() -> wiring.Signature:
    """The base registers, byte addresses."""
    return wiring.Signature({name: In(ADDRESS_BITS) for name in BASES})


def named_bases(bases) -> dict:
    return {name: getattr(bases, name) for name in BASES}


class Load(wiring.Component):
    """Members: `instructions` in; `memory` a read client; `write` into INP (kind 0) and WGT (kind 1)."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "instructions": In(stream.Signature(INSTRUCTION_BITS)), "bases": Out(bases_signature()),
            "memory": Out(read_client(config)), "write": Out(write_signature(config)),
            "from_compute": Out(TokenSink), "to_compute": Out(TokenSource), "clear": In(1),
            "trace": Out(trace_module), "waits_next": Out(1), "full": Out(1), "busy": Out(1), "illegal": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.gate = gate = TokenGate()
        m.submodules.dma = dma = LoadDma(self.config, LOAD_MEMORIES)
        word, ready = self.instructions.payload, Signal()
        m.d.sync += ready.eq(dma.ready)  # what is so stays so until the next begins
        insn = view(self.config, Opcode.LOAD, word)
        fill_command(m, dma.command, self.config, LOAD_MEMORIES, word, named_bases(self.bases))
        wiring.connect(m, dma.write, wiring.flipped(self.write))
        wiring.connect(m, dma.memory, wiring.flipped(self.memory))
        wiring.connect(m, gate.from_next, wiring.flipped(self.from_compute))
        m.d.comb += [
            gate.valid.eq(self.instructions.valid), gate.ready.eq(ready), gate.clear.eq(self.clear),
            gate.pop_next.eq(insn.pop_next), gate.push_next.eq(insn.push_next),
            gate.from_prev.available.eq(1), gate.to_prev.space.eq(1),
            gate.to_next.space.eq(self.to_compute.space), self.to_compute.reserve.eq(gate.to_next.reserve),
            self.to_compute.push.eq(dma.push_next),
            self.instructions.ready.eq(gate.start), dma.begin.eq(gate.start),
            self.trace.start.eq(gate.start), self.trace.end.eq(dma.done),
            self.waits_next.eq(gate.waits_next), self.full.eq(gate.full_next),
            self.busy.eq(gate.start | ~dma.idle), self.illegal.eq(0),
        ]
        return m
