"""What an instruction of the compute module is, and what it uses: the stage between its queue and its beginning."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import ALU_BY_NAME, ALU_OPS, Memory, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .gemm import max_taps
from .layouts import view
from .steps import HEAD, Engine, Use

REQUANT, LUT = ALU_BY_NAME["requant"].code, ALU_BY_NAME["lut"].code
SIZE_BITS = 12  # a block that LOAD fills in ACC and that is wider or higher than these bits tell is taken to use all of it


class Decode(wiring.Component):
    """Holds one instruction, decoded.

    Members
    -------
    instructions: stream in. valid, word, head, illegal: what is held. take: it leaves in this cycle.
    first_uop, first_upper: to MicroOps, which tells of the held instruction's first micro-op in every cycle.
    """

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        super().__init__({"instructions": In(stream.Signature(INSTRUCTION_BITS)), "valid": Out(1), "word": Out(INSTRUCTION_BITS),
                          "head": Out(HEAD), "illegal": Out(1), "take": In(1), "clear": In(1),
                          "first_uop": Out(exact_log2(config.uop_depth)), "first_upper": In(1)})

    def elaborate(self, platform):
        m = Module()
        new = Signal(HEAD)
        held = Signal(HEAD, reset_less=True)
        legal, steps, moves = Signal(reset_less=True, name="legal"), Signal(reset_less=True, name="steps"), Signal(name="moves")
        payload = self.instructions.payload
        word = Signal(INSTRUCTION_BITS, reset_less=True, name="held_word")
        m.d.comb += [self.instructions.ready.eq(~self.valid | self.take), moves.eq(self.instructions.valid & self.instructions.ready),
                     self.word.eq(word), self.illegal.eq(~legal), self.head.eq(held),
                     self.first_uop.eq(Mux(moves, view(self.config, Opcode.GEMM, payload).uop_bgn, view(self.config, Opcode.GEMM, word).uop_bgn))]
        with m.If(steps):
            m.d.comb += [self.head.upper.eq(self.first_upper),
                         self.head.uses[Use.LOWER].eq(~held.confined | ~self.first_upper),
                         self.head.uses[Use.UPPER].eq(~held.confined | self.first_upper)]
        with m.If(self.take):
            m.d.sync += self.valid.eq(0)
        with m.If(moves):
            m.d.sync += [self.valid.eq(1), word.eq(payload), held.eq(new)]
            self._decode(m, payload, new, legal, steps)
        with m.If(self.clear):
            m.d.sync += self.valid.eq(0)
        return m

    def _decode(self, m, word, head, legal, steps):
        gemm, alu, load, depthwise = (view(self.config, opcode, word) for opcode in (Opcode.GEMM, Opcode.ALU, Opcode.LOAD, Opcode.DEPTHWISE))
        is_load = (load.opcode == Opcode.LOAD) | (load.opcode == Opcode.LOAD_PAD)
        is_gemm, is_alu, is_finish, is_depthwise = (load.opcode == opcode for opcode in
                                                    (Opcode.GEMM, Opcode.ALU, Opcode.FINISH, Opcode.DEPTHWISE))
        known_taps = (depthwise.taps != 0) & (depthwise.taps <= max_taps(self.config))
        known_memory = Cat(load.memory_type == memory for memory in self.memories).any()
        known_op = Cat(alu.alu_opcode == code for code in ALU_OPS).any()
        some = (gemm.iter_out != 0) & (gemm.iter_in != 0) & (gemm.uop_bgn < gemm.uop_end)
        clears, sums, loads, operates = is_gemm & gemm.reset, is_gemm & ~gemm.reset | is_depthwise & known_taps, Signal(), is_alu & known_op
        lut, requant = operates & (alu.alu_opcode == LUT), operates & (alu.alu_opcode == REQUANT)
        m.d.sync += [legal.eq(is_finish | is_gemm | is_depthwise & known_taps | operates | is_load & (known_memory | (load.x_size == 0))),
                     steps.eq(some & (sums | clears | operates))]
        m.d.comb += [
            loads.eq(is_load & known_memory & (load.x_size != 0)),
            head.push_prev.eq(load.push_prev), head.push_next.eq(load.push_next), head.finish.eq(is_finish),
            head.loads_uop.eq(loads & (load.memory_type == Memory.UOP)), head.clear.eq(clears), head.lut.eq(lut), head.long.eq(lut | requant),
            head.op.eq(alu.alu_opcode), head.use_imm.eq(alu.use_imm), head.imm.eq(alu.imm), head.confined.eq(gemm.half),
            head.upper.eq(gemm.half)]  # until the first micro-op is known
        with m.If(loads):
            m.d.comb += head.engine.eq(Engine.LOAD)
            self._loaded(m, load, head)
        with m.Elif(some & sums):
            m.d.comb += head.engine.eq(Engine.MULTIPLY)
        with m.Elif(some & (clears | operates)):
            m.d.comb += [head.engine.eq(Engine.ALU), head.uses[Use.PARAMETERS].eq(lut | requant)]

    def _loaded(self, m, load, head):
        """What a LOAD uses: the halves of ACC that it fills, or parameters."""
        half = self.config.acc_depth // 2
        rows, columns = load.y_pad_0 + load.y_size + load.y_pad_1, load.x_pad_0 + load.x_size + load.x_pad_1
        end = load.sram_base + rows[:SIZE_BITS] * columns[:SIZE_BITS]
        large = rows[SIZE_BITS:].any() | columns[SIZE_BITS:].any()
        fills = (load.memory_type == Memory.ACC) | (load.memory_type == Memory.ACC_8BIT)
        m.d.comb += [
            head.uses[Use.LOWER].eq(fills & (load.sram_base < half)),
            head.uses[Use.UPPER].eq(fills & (large | (end > half))),
            head.uses[Use.PARAMETERS].eq((load.memory_type == Memory.QNT) | (load.memory_type == Memory.LUT))]
