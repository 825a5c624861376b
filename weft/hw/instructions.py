"""The queue of instructions before each module, and which module an instruction goes to."""

from amaranth import Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from weft.isa import MEMORIES, Module as Unit, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .layouts import view

QUEUE_DEPTH = 64  # instructions that wait before a module: how far one module can run ahead of another


class InstructionQueue(wiring.Component):
    """A queue of instructions, and a register for the first of them, which takes the next when it is empty. `clear` empties
    both."""

    def __init__(self, depth: int = QUEUE_DEPTH):
        self.depth = depth
        super().__init__({"input": In(stream.Signature(INSTRUCTION_BITS)), "output": Out(stream.Signature(INSTRUCTION_BITS)),
                          "clear": In(1)})

    def elaborate(self, platform):
        m = Module()
        queue = fifo.SyncFIFOBuffered(width=INSTRUCTION_BITS, depth=self.depth)
        m.submodules.queue = ResetInserter(self.clear)(queue)
        wiring.connect(m, wiring.flipped(self.input), queue.w_stream)
        m.d.comb += queue.r_en.eq(~self.output.valid)
        payload = Signal(INSTRUCTION_BITS, name="first", reset_less=True)
        m.d.comb += self.output.payload.eq(payload)
        with m.If(~self.output.valid):
            m.d.sync += [self.output.valid.eq(queue.r_rdy), payload.eq(queue.r_data)]
        with m.Elif(self.output.ready):
            m.d.sync += self.output.valid.eq(0)
        with m.If(self.clear):
            m.d.sync += self.output.valid.eq(0)
        return m


def unit_of(config, word):
    """The Module (weft.isa) that runs the instruction in `word`: what module_of says, and compute for what it refuses."""
    insn = view(config, Opcode.LOAD, word)
    by_memory = Const(Unit.COMPUTE, 2)
    for memory, info in MEMORIES.items():
        by_memory = Mux(insn.memory_type == memory, info.module, by_memory)
    is_load = (insn.opcode == Opcode.LOAD) | (insn.opcode == Opcode.LOAD_PAD)
    return Mux(is_load, by_memory, Mux(insn.opcode == Opcode.STORE, Unit.STORE, Unit.COMPUTE))
