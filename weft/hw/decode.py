"""What an instruction of the compute module is, and what it uses: the stage between its queue and its beginning."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import ALU_BY_NAME, ALU_OPS, Memory, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .alu import SLOW
from .gemm import max_taps
from .layouts import view
from .steps import HEAD, Engine, Use

REQUANT, LUT = ALU_BY_NAME["requant"].code, ALU_BY_NAME["lut"].code
SLOW_OPS = tuple(ALU_BY_NAME[name].code for name in SLOW)
SIZE_BITS = 12  # a block that LOAD fills in ACC and that is wider or higher than these bits tell is taken to use all of it


SETTLED = 7  # cycles from when an instruction leaves its queue until all that is known of it stands in registers


class Decode(wiring.Component):
    """Holds one instruction, and decodes it in stages that no one waits for but at the end. It takes the next when this one
    is gone.

    Members
    -------
    instructions: stream in. valid: what is told of the held instruction is there: word, head, illegal; and, of a LOAD of
    UOP, `fills`, `several`: it fills more than a row, `first`, `after`: the row. take: it leaves in this cycle. first_uop,
    first_upper: to MicroOps, which tells of the held instruction's first micro-op in every cycle; `head` knows it two cycles
    later.
    """

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        super().__init__({"instructions": In(stream.Signature(INSTRUCTION_BITS)), "valid": Out(1),
                          "word": Out(INSTRUCTION_BITS),
                          "head": Out(HEAD), "illegal": Out(1), "several": Out(1), "first": Out(17), "after": Out(17),
                          "take": In(1), "clear": In(1),
                          "first_uop": Out(exact_log2(config.uop_depth)), "first_upper": In(1)})

    def elaborate(self, platform):
        m = Module()
        held, upper = Signal(HEAD, reset_less=True), Signal(reset_less=True)
        legal, steps = Signal(reset_less=True, name="legal"), Signal(reset_less=True, name="steps")
        busy, settled = Signal(), Signal(SETTLED - 1)
        word = Signal(INSTRUCTION_BITS, reset_less=True, name="held_word")
        load = view(self.config, Opcode.LOAD, word)
        m.d.comb += [self.instructions.ready.eq(~busy), self.valid.eq(settled[-1]), self.word.eq(word),
                     self.illegal.eq(~legal), self.first_uop.eq(view(self.config, Opcode.GEMM, word).uop_bgn)]
        with m.If(busy):
            m.d.sync += settled.eq(Cat(busy, settled))
            uses = self._decode(m, word, held, legal, steps)
            m.d.sync += [upper.eq(self.first_upper),
                         self.several.eq((load.y_size != 1) | (load.y_pad_0 != 0) | (load.y_pad_1 != 0)),
                         self.first.eq(load.sram_base),
                         self.after.eq(load.sram_base + load.x_pad_0 + load.x_size + load.x_pad_1)]
            m.d.sync += [self.head.eq(held), self.head.uses.eq(uses)]
            with m.If(steps):
                m.d.sync += [self.head.upper.eq(upper), self.head.uses[Use.LOWER].eq(~held.confined | ~upper),
                             self.head.uses[Use.UPPER].eq(~held.confined | upper)]
        with m.Elif(self.instructions.valid):
            m.d.sync += [busy.eq(1), word.eq(self.instructions.payload)]
        with m.If(self.take | self.clear):
            m.d.sync += [busy.eq(0), settled.eq(0)]
        return m

    def _decode(self, m, word, head, legal, steps):
        """Drives `head`, but for its uses: these are returned."""
        gemm, alu, load, depthwise = (view(self.config, opcode, word)
                                      for opcode in (Opcode.GEMM, Opcode.ALU, Opcode.LOAD, Opcode.DEPTHWISE))
        is_load, is_gemm, is_finish, is_depthwise = (
            self._found(m, name, Cat(load.opcode == opcode for opcode in opcodes).any()) for name, opcodes in (
            ("load", (Opcode.LOAD, Opcode.LOAD_PAD)), ("gemm", (Opcode.GEMM,)), ("finish", (Opcode.FINISH,)),
            ("depthwise", (Opcode.DEPTHWISE,))))
        operates, lut, requant, slow = (
            self._found(m, name, (load.opcode == Opcode.ALU) & Cat(alu.alu_opcode == code for code in codes).any())
            for name, codes in (
            ("operates", ALU_OPS), ("lut", (LUT,)), ("requant", (REQUANT,)), ("slow", SLOW_OPS)))
        known_taps = self._found(m, "known_taps", (depthwise.taps != 0) & (depthwise.taps <= max_taps(self.config)))
        known_memory = self._found(m, "known_memory", Cat(load.memory_type == memory for memory in self.memories).any())
        wide = self._found(m, "wide", load.x_size != 0)
        repeats = self._found(m, "repeats", (gemm.iter_out != 0) & (gemm.iter_in != 0))
        reads = self._found(m, "reads", gemm.uop_bgn < gemm.uop_end)
        some, loads = repeats & reads, is_load & known_memory & wide
        clears, sums = is_gemm & gemm.reset, is_gemm & ~gemm.reset | is_depthwise & known_taps
        m.d.sync += [
            legal.eq(is_finish | is_gemm | is_depthwise & known_taps | operates | is_load & (known_memory | ~wide)),
            steps.eq(some & (sums | clears | operates)),
            head.engine.eq(Mux(loads, Engine.LOAD, Mux(some & sums, Engine.MULTIPLY, Mux(
                some & (clears | operates), Engine.ALU, Engine.NONE)))),
            head.push_prev.eq(load.push_prev), head.push_next.eq(load.push_next), head.finish.eq(is_finish),
            head.loads_uop.eq(loads & (load.memory_type == Memory.UOP)), head.clear.eq(clears), head.lut.eq(lut),
            head.slow.eq(slow), head.long.eq(lut | requant | slow), head.op.eq(alu.alu_opcode),
            head.use_imm.eq(alu.use_imm), head.imm.eq(alu.imm), head.confined.eq(gemm.half)]
        lower, above, fills = self._loaded(m, load)
        uses = Signal.like(head.uses, name="uses")
        parameters = Mux(loads, (load.memory_type == Memory.QNT) | (load.memory_type == Memory.LUT), some & (lut | requant))
        m.d.comb += [uses[Use.LOWER].eq(loads & fills & lower), uses[Use.UPPER].eq(loads & fills & above),
                     uses[Use.PARAMETERS].eq(parameters)]
        return uses

    def _found(self, m, name, value):
        """A bit that is found out first, for others to be made of."""
        bit = Signal(name=f"is_{name}", reset_less=True)
        m.d.sync += bit.eq(value)
        return bit

    def _loaded(self, m, load):
        """Of a LOAD: whether it fills something below the middle of ACC, something above it, and ACC at all."""
        half, area = self.config.acc_depth // 2, Signal(2 * SIZE_BITS, reset_less=True)
        pads = [Signal(5, reset_less=True, name=f"{axis}_pads") for axis in ("y", "x")]
        lower, above = Signal(reset_less=True), Signal(reset_less=True)
        rows, columns = (Signal(17, reset_less=True, name=name) for name in ("rows", "columns"))
        end = Signal(2 * SIZE_BITS + 1, reset_less=True)
        large = rows[SIZE_BITS:].any() | columns[SIZE_BITS:].any()
        m.d.sync += [pads[0].eq(load.y_pad_0 + load.y_pad_1), pads[1].eq(load.x_pad_0 + load.x_pad_1),
                     rows.eq(pads[0] + load.y_size), columns.eq(pads[1] + load.x_size),
                     area.eq(rows[:SIZE_BITS] * columns[:SIZE_BITS]), end.eq(load.sram_base + area),
                     lower.eq(load.sram_base < half), above.eq(large | (end > half))]
        return lower, above, (load.memory_type == Memory.ACC) | (load.memory_type == Memory.ACC_8BIT)
