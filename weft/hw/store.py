"""The store module: rows of OUT become bursts. The next instruction begins while the last one's answers still come."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory, Opcode
from weft.isa.table import INSTRUCTION_BITS

from .bursts import BurstSplitter, burst_layout
from .blocks import COMMAND, Shape, command, fill_command
from .dma import RowWalker
from .layouts import view
from .load import bases_signature, named_bases, trace_module
from .memory_write import write_beat
from .tokens import TokenGate, TokenSink, TokenSource

BURSTS_AHEAD = 64  # bursts whose answers have not come
ENDS_AHEAD = 8  # instructions that only wait for answers


class Packer(wiring.Component):
    """Reads the elements of a STORE in order and packs them into beats, one element or one beat a cycle.

    Members
    -------
    begin: a command stands in `command`; only while `ready`. address, enable, takes, data: read port of OUT, two
    cycles: `takes` in the cycle between, and data stays.
    beats: stream of `write_beat`.
    """

    def __init__(self, config):
        self.config = config
        self.shape = Shape(config, Memory.OUT)
        super().__init__({"begin": In(1), "command": In(command), "ready": Out(1),
                          "address": Out(exact_log2(config.out_depth)), "enable": Out(1), "takes": Out(1),
                          "data": In(config.out_bits).array(config.batch * config.block_out),
                          "beats": Out(stream.Signature(write_beat(config)))})

    def elaborate(self, platform):
        m = Module()
        shape = self.shape
        x_size, x_stride = Signal(16, reset_less=True), Signal(16, reset_less=True)
        x, y = Signal(16, reset_less=True), Signal(16, reset_less=True)  # elements and rows left
        last_x, one_x = Signal(reset_less=True), Signal(reset_less=True)  # x == 1, x_size == 1
        address = Signal.like(self.address, reset_less=True)
        part = Signal(range(shape.parts), reset_less=True)
        slot, row_slot = (Signal(exact_log2(shape.slots), reset_less=True, name=name) for name in ("slot", "row_slot"))

        # Stage 1 reads; in stage 2 the memory gives the element; stage 3 has it, and gives a beat when one is complete.
        read, step, moves, last_part = Signal(), Signal(), Signal(), Signal()
        got, full = Signal(), Signal()
        got_at, full_at = ([Signal.like(s, reset_less=True, name=f"{stage}_{s.name}") for s in (part, slot, last_x)]
                           for stage in ("got", "full"))
        complete = Signal(reset_less=True)  # the beat, with the element that stage 3 has
        element = Cat(*self.data)
        m.d.comb += [moves.eq(~full | self.beats.ready | ~self.beats.valid), step.eq(read & (~got | moves)),
                     last_part.eq(part == shape.parts - 1), self.address.eq(address), self.enable.eq(step),
                     self.takes.eq(moves & got), self.ready.eq(~read)]
        with m.If(moves):
            m.d.sync += [full.eq(got), got.eq(0)]
            with m.If(got):
                m.d.sync += complete.eq(got_at[2] | (got_at[1] == shape.slots - 1))
                m.d.sync += [mine.eq(its) for mine, its in zip(full_at, got_at)]
        with m.If(step):
            m.d.sync += [got.eq(1), *(mine.eq(its) for mine, its in zip(got_at, (part, slot, last_x))), part.eq(part + 1)]
            with m.If(last_part):
                m.d.sync += [address.eq(address + 1), x.eq(x - 1), last_x.eq(x == 2), slot.eq(slot + 1), part.eq(0)]
                with m.If(last_x):
                    m.d.sync += [x.eq(x_size), last_x.eq(one_x), y.eq(y - 1), read.eq(y != 1), slot.eq(row_slot + x_stride),
                                 row_slot.eq(row_slot + x_stride)]
        with m.If(self.begin):
            new = self.command
            first = shape.first_slot(new.address)
            m.d.sync += [x_size.eq(new.x_size), x_stride.eq(new.x_stride), x.eq(new.x_size), part.eq(0),
                         last_x.eq(new.x_size == 1),
                         one_x.eq(new.x_size == 1), y.eq(new.y_size), read.eq(new.wide & new.high), address.eq(new.sram),
                         slot.eq(first), row_slot.eq(first)]
        if shape.slots == 1:
            m.d.comb += [self.beats.valid.eq(full), self.beats.p.strobe.eq(-1),
                         self.beats.p.data.eq(element.word_select(full_at[0], self.config.bus_bits))]
        else:
            self._collect(m, element, full, full_at[1], complete)
        return m

    def _collect(self, m, element, full, slot, complete):
        """Several elements a beat: they gather in a register until the beat or the row is full."""
        bits, width = self.shape.bytes * 8, self.shape.bytes
        gathered = Signal(self.config.bus_bits, reset_less=True)
        strobe = Signal(self.config.bus_bits // 8)
        new, new_strobe = Signal.like(gathered), Signal.like(strobe)
        m.d.comb += [
            new.eq(gathered), new.word_select(slot, bits).eq(element),
            new_strobe.eq(strobe), new_strobe.word_select(slot, width).eq((1 << width) - 1),
            self.beats.valid.eq(full & complete),
            self.beats.p.data.eq(new), self.beats.p.strobe.eq(new_strobe)]
        with m.If(full):
            m.d.sync += [gathered.eq(new), strobe.eq(new_strobe)]
            with m.If(self.beats.valid):
                m.d.sync += strobe.eq(Mux(self.beats.ready, 0, strobe))


class Store(wiring.Component):
    """Members: `instructions` in; `bursts`, `beats`, `done` to the memory engine's write side; `out_*`: read port of OUT."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "instructions": In(stream.Signature(INSTRUCTION_BITS)), "bases": Out(bases_signature()),
            "bursts": Out(stream.Signature(burst_layout(config))), "beats": Out(stream.Signature(write_beat(config))),
            "done": In(1), "out_address": Out(exact_log2(config.out_depth)), "out_enable": Out(1), "out_takes": Out(1),
            "out_data": In(config.out_bits).array(config.batch * config.block_out),
            "from_compute": Out(TokenSink), "to_compute": Out(TokenSource), "clear": In(1),
            "trace": Out(trace_module), "waits_prev": Out(1), "full": Out(1), "busy": Out(1), "illegal": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.gate = gate = TokenGate()
        m.submodules.walker = walker = RowWalker(config, [Shape(config, Memory.OUT)])
        m.submodules.splitter = splitter = BurstSplitter(config)
        m.submodules.packer = packer = Packer(config)
        word = self.instructions.payload
        insn = view(config, Opcode.STORE, word)
        legal, nothing = Signal(reset_less=True), Signal(reset_less=True)
        active, walked = Signal(), Signal()
        m.d.sync += [legal.eq((insn.opcode == Opcode.STORE) & (insn.memory_type == Memory.OUT)),  # there before it begins
                     nothing.eq((insn.opcode == Opcode.STORE) & ((insn.x_size == 0) | (insn.y_size == 0)))]
        m.d.comb += walked.eq(active & ~walker.busy & splitter.idle & packer.ready)
        fill_command(m, walker.command, config, (Memory.OUT,), word, named_bases(self.bases))
        m.d.comb += [getattr(packer.command, name).eq(getattr(walker.command, name)) for name in COMMAND]
        m.d.comb += [walker.begin.eq(gate.start & legal), packer.begin.eq(gate.start & legal),
                     self.out_address.eq(packer.address), self.out_enable.eq(packer.enable), self.out_takes.eq(packer.takes)]
        m.d.comb += [its.eq(mine) for its, mine in zip(packer.data, self.out_data)]
        wiring.connect(m, walker.rows, splitter.rows)
        wiring.connect(m, packer.beats, wiring.flipped(self.beats))
        ended = self._answers(m, splitter, walked, active, gate, insn)
        wiring.connect(m, gate.from_prev, wiring.flipped(self.from_compute))
        m.d.comb += [
            gate.valid.eq(self.instructions.valid), gate.clear.eq(self.clear), self.instructions.ready.eq(gate.start),
            gate.pop_prev.eq(insn.pop_prev), gate.push_prev.eq(insn.push_prev),
            gate.from_next.available.eq(1), gate.to_next.space.eq(1),
            gate.to_prev.space.eq(self.to_compute.space), self.to_compute.reserve.eq(gate.to_prev.reserve),
            self.waits_prev.eq(gate.waits_prev), self.full.eq(gate.full_prev),
            self.illegal.eq(gate.start & ~legal & ~nothing),
            self.trace.start.eq(gate.start), self.trace.end.eq(ended)]
        return m

    def _answers(self, m, splitter, walked, active, gate, insn):
        """Counts the bursts asked for and answered: an instruction ends with the answer to its last burst."""
        bits, ready = BURSTS_AHEAD.bit_length() + 1, Signal()
        asked, answered = Signal(bits), Signal(bits)
        fired, room, ended = Signal(), Signal(init=1), Signal()  # the latter two are a cycle old
        push_prev = Signal(reset_less=True)
        m.submodules.ends = ends = fifo.SyncFIFO(width=bits + 1, depth=ENDS_AHEAD)
        at, pushes = ends.r_data[:bits], ends.r_data[bits]
        m.d.comb += [
            fired.eq(self.bursts.valid & self.bursts.ready),
            self.bursts.payload.eq(splitter.bursts.payload), self.bursts.valid.eq(splitter.bursts.valid & room),
            splitter.bursts.ready.eq(self.bursts.ready & room),
            gate.ready.eq(ready), ends.w_en.eq(walked), ends.w_data.eq(Cat(asked, push_prev)),
            ends.r_en.eq(ended),
            self.to_compute.push.eq(ended & pushes), self.busy.eq(active | gate.start | ends.r_rdy)]
        m.d.sync += ready.eq(~active | walked & ends.w_rdy)  # what is so stays so until the next begins
        m.d.sync += [asked.eq(asked + fired), answered.eq(answered + self.done),
                     room.eq((asked - answered)[:bits] != BURSTS_AHEAD),  # no burst follows another so soon
                     ended.eq(ends.r_rdy & ~ended & ~(answered - at)[bits - 1])]  # at or beyond, as counters wrap
        with m.If(walked & ends.w_rdy):
            m.d.sync += active.eq(0)
        with m.If(gate.start):
            m.d.sync += [active.eq(1), push_prev.eq(insn.push_prev)]
        return ended
