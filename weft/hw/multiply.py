"""The engine of GEMM and DEPTHWISE, with INP and WGT: a step a cycle, without a wait.

    issue    the loops give a micro-op's address
    uop      the micro-op is there
    index    the loops' offsets are added
    operands INP is read
    fetched  its element is there; WGT is read
    window   the element enters the operands, as a row or at the end of a window; WGT's is there
    factor   both enter the multipliers
    product  the rows' products; ACC is read
    part     some of the products are added
    sum      their sums; ACC's element is there, or what is on its way to it
    add      the two are added
    write    the sum goes to ACC

Every stage is a cycle and ends in registers: a block RAM of an FPGA takes half of one to read.
"""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .acc import in_halves
from .blocks import Shape, write_signature
from .fresh import Fresh, again
from .gemm import DotProducts, Operands, row_words
from .in_flight import DONE
from .layouts import micro_op
from .load import LOAD_MEMORIES
from .loops import INDICES, Loops, index_layout
from .scratchpad import Scratchpad
from .steps import ENTRY_BITS, HEAD, STEP, WINDOW
from .writing import fill_words

# behind `issue`
STAGES = ("uop", "index", "operands", "fetched", "window", "factor", "product", "part", "sum", "add", "write")
WINDOW_STAGES = STAGES[:STAGES.index("window") + 1]
DST_STAGES = STAGES[STAGES.index("operands"):]  # those that know where the step writes


class Multiply(wiring.Component):
    """Members: begin, with word, head and index of an instruction that has steps, only while `ready`; `uop_*`: a read port
    of the micro-ops, a cycle; `first_uop`, `last_uop`: those that are still to be read lie between, the latter excluded,
    while `issuing`; `load_write` into INP and WGT; `acc_*`: ports of ACC, a cycle to read; `stepped`: a step writes;
    `strays`: out of its half of ACC."""

    def __init__(self, config):
        self.config = config
        acc, data = exact_log2(config.acc_depth), config.acc_bits
        self.lanes = lanes = config.batch * config.block_out
        super().__init__({
            "begin": In(1), "word": In(128), "head": In(HEAD), "index": In(ENTRY_BITS), "ready": Out(1), "issuing": Out(1),
            "first_uop": Out(exact_log2(config.uop_depth) + 1), "last_uop": Out(exact_log2(config.uop_depth) + 1),
            "uop_address": Out(exact_log2(config.uop_depth)), "uop_enable": Out(1), "uop": In(32),
            "load_write": In(write_signature(config)), "acc_address": Out(acc), "acc_halves": Out(2),
            "acc_lower": In(data).array(lanes), "acc_upper": In(data).array(lanes), "write_address": Out(acc),
            "write_enable": Out(1), "write_halves": Out(2),
            "write_data": Out(data).array(lanes), "done": Out(DONE), "stepped": Out(1), "strays": Out(1)})

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
        window = {name: Signal(WINDOW, name=f"{name}_window") for name in ("issue", *WINDOW_STAGES)}
        for stages in ([issue, *step.values()], [*window.values()]):
            m.d.sync += [after.eq(before) for before, after in zip(stages, stages[1:])]
        m.d.comb += [window["issue"].used.eq(self.issuing & loops.windows),
                     window["issue"].slides.eq(self.issuing & loops.slides), window["issue"].taps.eq(loops.taps)]
        indices, strays = self._indices(m, loops), Signal()
        dst = {name: Signal(exact_log2(config.acc_depth), name=f"{name}_dst", reset_less=True) for name in DST_STAGES[1:]}
        m.d.sync += [after.eq(before) for before, after in zip([indices.dst, *dst.values()], dst.values())]
        m.d.sync += strays.eq(step["operands"].valid & step["operands"].confined
                              & (indices.dst[-1] != step["operands"].upper))
        m.d.comb += [self.acc_address.eq(dst["product"]), self.write_address.eq(dst["write"]), self.strays.eq(strays),
                     self.write_enable.eq(step["write"].valid),
                     self.stepped.eq(step["write"].valid), self.done.valid.eq(step["write"].last),
                     self.done.index.eq(step["write"].index)]
        m.d.sync += [self.acc_halves.eq(in_halves(step["factor"].valid, dst["factor"])),
                     self.write_halves.eq(in_halves(step["add"].valid, dst["add"]))]
        self._accumulate(m, step, dst, self._sums(m, step, window, indices))
        return m

    def _indices(self, m, loops):
        """What the steps address; there in `operands`."""
        uop = Signal(micro_op(self.config), name="micro_op", reset_less=True)
        given, offsets, indices = (Signal(index_layout(self.config), name=name, reset_less=True)
                                   for name in ("given", "offsets", "indices"))
        m.d.sync += [uop.eq(self.uop), given.eq(loops.offsets), offsets.eq(given)]
        m.d.sync += [getattr(indices, name).eq(getattr(uop, name) + getattr(offsets, name)) for name in INDICES]
        return indices

    def _sums(self, m, step, window, indices):
        """The dot products, there in `add`."""
        config = self.config
        words, bits = row_words(config)
        m.submodules.inp = inp = Scratchpad(config.batch * words, bits, config.inp_depth)
        m.submodules.wgt = wgt = Scratchpad(config.block_out * words, bits, config.wgt_depth)
        m.submodules.dots = dots = DotProducts(config)
        m.submodules.operands = operands = Operands(config)
        for pad, memory in ((inp, Memory.INP), (wgt, Memory.WGT)):
            fill_words(m, pad, Shape(config, memory), LOAD_MEMORIES.index(memory), self.load_write)
        reads, comes, enters, wgt_index = Signal(), Signal(), Signal(), Signal.like(indices.wgt, reset_less=True)
        fetched = [Signal(bits, name=f"inp_{index}", reset_less=True) for index in range(config.batch * words)]
        weights = [Signal(bits, name=f"wgt_{index}", reset_less=True) for index in range(config.block_out * words)]
        m.d.comb += [signal.eq(Mux(window[stage].used, window[stage].slides, step[stage].valid))
                     for signal, stage in ((reads, "operands"), (comes, "fetched"))]
        m.d.sync += [wgt_index.eq(indices.wgt), enters.eq(comes)]
        with m.If(comes):
            m.d.sync += [mine.eq(its) for mine, its in zip(fetched, inp.read_data)]
        with m.If(step["window"].valid):
            m.d.sync += [mine.eq(its) for mine, its in zip(weights, wgt.read_data)]
        m.d.comb += [
            inp.read_address.eq(indices.src), inp.read_enable.eq(reads), wgt.read_address.eq(wgt_index),
            wgt.read_enable.eq(step["fetched"].valid),
            operands.enters.eq(enters), operands.slides.eq(window["window"].slides),
            operands.taps.eq(window["fetched"].taps),
            operands.prepare.eq(window["fetched"].slides), dots.takes.eq(step["factor"].valid),
            dots.multiplies.eq(step["product"].valid), dots.adds.eq(step["part"].valid), dots.totals.eq(step["sum"].valid)]
        m.d.comb += [mine.eq(its) for pair in (zip(operands.inp, fetched), zip(dots.wgt, weights),
                                               zip(dots.operands, operands.lanes))
                     for mine, its in pair]
        return dots.sums

    def _accumulate(self, m, step, dst, sums):
        """Stages from `product` on: ACC is read, added to, and written."""
        m.submodules.old = old = Fresh(self.config, self.lanes)
        ahead = [(step[name], dst[name]) for name in ("part", "sum", "add", "write")]
        m.d.comb += [old.enable.eq(step["product"].valid), old.upper.eq(dst["product"][-1]),
                     old.again.eq(again(dst["product"], ahead))]
        for lane, total in enumerate(sums):
            result, written = (Signal(self.config.acc_bits, name=f"{name}_{lane}", reset_less=True)
                               for name in ("result", "written"))
            with m.If(step["add"].valid):
                m.d.sync += result.eq(Mux(old.nearest, result, old.data[lane]).as_signed() + total)
            with m.If(step["write"].valid):
                m.d.sync += written.eq(result)
            m.d.comb += [self.write_data[lane].eq(result), old.result[lane].eq(result), old.written[lane].eq(written),
                         old.lower_data[lane].eq(self.acc_lower[lane]), old.upper_data[lane].eq(self.acc_upper[lane])]
