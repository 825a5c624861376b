"""The engine of GEMM and DEPTHWISE, with INP and WGT: a step a cycle, without a wait.

    issue    the loops give a micro-op's address
    uop      the micro-op is there; the loops' offsets are added
    operands INP and WGT are read
    sum      dot products; ACC is read
    write    the sum goes to ACC

A read of ACC sees the write of the same cycle, so a step may use what the one before it wrote.
"""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .dma import Shape, write_signature
from .gemm import DotProducts, Windows, row_words
from .in_flight import DONE
from .layouts import micro_op
from .load import LOAD_MEMORIES
from .loops import INDICES, Loops, index_layout
from .scratchpad import Scratchpad
from .steps import ENTRY_BITS, HEAD, STEP, WINDOW
from .writing import fill_words

STAGES = ("uop", "operands", "sum", "write")  # behind `issue`


class Multiply(wiring.Component):
    """Members: begin, with word, head and index of an instruction that has steps, only while `ready`; `uop_*`: a read port of
    the micro-ops, a cycle; `first_uop`, `last_uop`: those that are still to be read lie between, the latter excluded, while
    `issuing`; `load_write` into INP and WGT; `acc_*`: ports of ACC, a cycle to read; `stepped`: a step writes; `strays`: out of
    its half of ACC."""

    def __init__(self, config):
        self.config = config
        acc, lanes = exact_log2(config.acc_depth), config.batch * config.block_out
        super().__init__({
            "begin": In(1), "word": In(128), "head": In(HEAD), "index": In(ENTRY_BITS), "ready": Out(1), "issuing": Out(1),
            "first_uop": Out(exact_log2(config.uop_depth) + 1), "last_uop": Out(exact_log2(config.uop_depth) + 1),
            "uop_address": Out(exact_log2(config.uop_depth)), "uop_enable": Out(1), "uop": In(32),
            "load_write": In(write_signature(config)), "acc_address": Out(acc), "acc_enable": Out(1),
            "acc_data": In(config.acc_bits).array(lanes), "write_address": Out(acc), "write_enable": Out(1),
            "write_data": Out(config.acc_bits).array(lanes), "done": Out(DONE), "stepped": Out(1), "strays": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.loops = loops = Loops(config)
        issue, current = Signal(STEP), Signal(STEP, reset_less=True)
        m.d.comb += [self.ready.eq(~self.issuing | loops.last), loops.begin.eq(self.begin), loops.word.eq(self.word),
                     loops.advance.eq(self.issuing), self.uop_address.eq(loops.uop), self.uop_enable.eq(self.issuing),
                     self.first_uop.eq(loops.first), self.last_uop.eq(loops.after),
                     issue.eq(current), issue.valid.eq(self.issuing & loops.full), issue.last.eq(self.issuing & loops.last)]
        with m.If(self.issuing & loops.last):
            m.d.sync += self.issuing.eq(0)
        with m.If(self.begin):
            m.d.sync += [self.issuing.eq(1), current.index.eq(self.index), current.confined.eq(self.head.confined),
                         current.upper.eq(self.head.upper)]

        step = {name: Signal(STEP, name=f"{name}_step") for name in STAGES}
        window = {name: Signal(WINDOW, name=f"{name}_window") for name in ("issue", *STAGES[:3])}
        for before, after in zip([issue, *step.values()], step.values()):
            m.d.sync += after.eq(before)
        for before, after in zip(window.values(), list(window.values())[1:]):
            m.d.sync += after.eq(before)
        m.d.comb += [window["issue"].used.eq(self.issuing & loops.windows), window["issue"].slides.eq(self.issuing & loops.slides),
                     window["issue"].taps.eq(loops.taps)]
        offsets, indices = Signal(index_layout(config), reset_less=True), Signal(index_layout(config), reset_less=True)
        uop = micro_op(config)(self.uop)
        m.d.sync += offsets.eq(loops.offsets)
        m.d.sync += [getattr(indices, name).eq(getattr(uop, name) + getattr(offsets, name)) for name in INDICES]
        m.d.sync += [self.acc_address.eq(indices.dst), self.write_address.eq(self.acc_address)]
        sums = self._sums(m, step, window, indices)
        m.d.comb += [self.acc_enable.eq(step["sum"].valid), self.write_enable.eq(step["write"].valid),
                     self.stepped.eq(step["write"].valid), self.done.valid.eq(step["write"].last), self.done.index.eq(step["write"].index),
                     self.strays.eq(step["operands"].valid & step["operands"].confined & (indices.dst[-1] != step["operands"].upper))]
        with m.If(step["write"].valid):
            m.d.comb += [new.eq(old.as_signed() + total) for new, old, total in zip(self.write_data, self.acc_data, sums)]
        return m

    def _sums(self, m, step, window, indices):
        """Stages `operands` and `sum`: the dot products, there in `write`."""
        config = self.config
        words, bits = row_words(config)
        m.submodules.inp = inp = Scratchpad(config.batch * words, bits, config.inp_depth)
        m.submodules.wgt = wgt = Scratchpad(config.block_out * words, bits, config.wgt_depth)
        m.submodules.dots = dots = DotProducts(config)
        m.submodules.windows = windows = Windows(config)
        for pad, memory in ((inp, Memory.INP), (wgt, Memory.WGT)):
            fill_words(m, pad, Shape(config, memory), LOAD_MEMORIES.index(memory), self.load_write)
        now, multiplies = window["operands"], step["operands"].valid
        m.d.comb += [
            inp.read_address.eq(indices.src), inp.read_enable.eq(Mux(now.used, now.slides, multiplies)),
            wgt.read_address.eq(indices.wgt), wgt.read_enable.eq(multiplies),
            dots.enable.eq(step["sum"].valid), dots.windowed.eq(window["sum"].used), windows.used.eq(window["sum"].used),
            windows.slides.eq(window["sum"].slides), windows.taps.eq(now.taps), windows.prepare.eq(now.slides)]
        m.d.comb += [mine.eq(its) for pair in (zip(dots.inp, inp.read_data), zip(dots.wgt, wgt.read_data),
                                               zip(windows.inp, inp.read_data), zip(dots.windows, windows.lanes)) for mine, its in pair]
        return dots.sums
