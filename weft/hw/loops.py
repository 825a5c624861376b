"""The loops of GEMM and ALU: one micro-op's address and the offsets of its three indices a cycle."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Opcode

from .layouts import micro_op, view

INDICES = ("dst", "src", "wgt")


def index_layout(config) -> data.StructLayout:
    """The three indices of a step, as wide as in a micro-op; sums wrap."""
    fields = micro_op(config).members
    return data.StructLayout({name: fields[name] for name in INDICES})


class Loops(wiring.Component):
    """for y in iter_out: for x in iter_in: for k in [uop_bgn, uop_end).

    Members
    -------
    begin: take the loops of the GEMM or ALU in `word`. advance: go to the next step.
    uop: the micro-op's address. offsets: what is added to its indices. last: this is the last step.
    none: the instruction in `word` has no steps.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"begin": In(1), "word": In(128), "advance": In(1), "uop": Out(exact_log2(config.uop_depth)),
                          "offsets": Out(index_layout(config)), "last": Out(1), "none": Out(1)})

    def elaborate(self, platform):
        m = Module()
        gemm, alu = view(self.config, Opcode.GEMM, self.word), view(self.config, Opcode.ALU, self.word)
        is_alu = gemm.opcode == Opcode.ALU
        bits = gemm.uop_end.shape().width
        first, after, k = (Signal(bits, reset_less=True, name=name) for name in ("first", "after", "k"))
        x, y = Signal(14, reset_less=True), Signal(14, reset_less=True)  # steps left after this one
        in_size = Signal(14, reset_less=True)
        last_k, last_x = Signal(), Signal()
        m.d.comb += [self.none.eq((gemm.iter_out == 0) | (gemm.iter_in == 0) | (gemm.uop_bgn >= gemm.uop_end)),
                     self.uop.eq(k), last_k.eq(k + 1 == after), last_x.eq(x == 0),
                     self.last.eq(last_k & last_x & (y == 0))]
        with m.If(self.advance):
            m.d.sync += k.eq(k + 1)
            with m.If(last_k):
                m.d.sync += [k.eq(first), x.eq(x - 1)]
                with m.If(last_x):
                    m.d.sync += [x.eq(in_size), y.eq(y - 1)]
        with m.If(self.begin):
            m.d.sync += [k.eq(gemm.uop_bgn), first.eq(gemm.uop_bgn), after.eq(gemm.uop_end), x.eq(gemm.iter_in - 1),
                         in_size.eq(gemm.iter_in - 1), y.eq(gemm.iter_out - 1)]
        for name in INDICES:
            self._offset(m, name, gemm, alu, is_alu, last_k, last_x)
        return m

    def _offset(self, m, name, gemm, alu, is_alu, last_k, last_x):
        """offset = y * factor_out + x * factor_in, kept by adding."""
        offset = getattr(self.offsets, name)
        shape = index_layout(self.config).members[name]
        outer = Signal(shape, reset_less=True, name=f"{name}_outer")
        step_out, step_in = (Signal(shape, reset_less=True, name=f"{name}_step_{way}") for way in ("out", "in"))
        current = Signal(shape, reset_less=True, name=f"{name}_offset")
        m.d.comb += offset.eq(current)
        with m.If(self.advance & last_k):
            m.d.sync += current.eq(Mux(last_x, outer + step_out, current + step_in))
            with m.If(last_x):
                m.d.sync += outer.eq(outer + step_out)
        with m.If(self.begin):
            m.d.sync += [current.eq(0), outer.eq(0)]
            for way, step in (("out", step_out), ("in", step_in)):
                of_gemm = getattr(gemm, f"{name}_factor_{way}")
                of_alu = getattr(alu, f"{name}_factor_{way}") if name != "wgt" else 0
                m.d.sync += step.eq(Mux(is_alu, of_alu, of_gemm))
