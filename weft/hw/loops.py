"""The loops of GEMM, DEPTHWISE and ALU: one micro-op's address and the offsets of its three indices a cycle."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from weft.isa import Opcode
from weft.isa.table import MAX_TAPS

from .layouts import micro_op, view

INDICES = ("dst", "src", "wgt")
TAP_BITS = bits_for(MAX_TAPS)


def index_layout(config) -> data.StructLayout:
    """The three indices of a step, as wide as in a micro-op; sums wrap."""
    fields = micro_op(config).members
    return data.StructLayout({name: fields[name] for name in INDICES})


class Loops(wiring.Component):
    """GEMM and ALU: for y in iter_out: for x in iter_in: for k in [uop_bgn, uop_end): a step.

    DEPTHWISE: for y: for k: for x, where x takes a step for each element of INP that enters the window, at least one; the
    last of them is `full`. src counts those elements, so a window that overlaps the one before goes on from its end.

    Members
    -------
    begin: take the loops of the instruction in `word`, which stood there in the cycle before too. advance: go to the next
    step.
    uop: the micro-op's address. offsets: what is added to its indices. last: this is the last step.
    full: the step has all that it needs. windows: of a DEPTHWISE of `taps`; slides: an element enters its window.
    first, after: uop_bgn and uop_end.
    """

    def __init__(self, config, windowed: bool = True):
        """windowed: it knows DEPTHWISE."""
        self.config, self.windowed = config, windowed
        bits = exact_log2(config.uop_depth) + 1
        super().__init__({"begin": In(1), "word": In(128), "advance": In(1), "uop": Out(exact_log2(config.uop_depth)),
                          "offsets": Out(index_layout(config)), "last": Out(1), "full": Out(1),
                          "windows": Out(1), "slides": Out(1), "taps": Out(TAP_BITS), "first": Out(bits),
                          "after": Out(bits)})

    def elaborate(self, platform):
        """What is the last is told by registers, set a step ahead: everything else hangs on it."""
        m = Module()
        gemm = view(self.config, Opcode.GEMM, self.word)
        bits = gemm.uop_end.shape().width
        first, after, before, k = (Signal(bits, reset_less=True, name=f"{name}_k")
                                   for name in ("first", "after", "before", "next"))
        # steps left after this one
        x, y, in_size = (Signal(14, reset_less=True, name=name) for name in ("x", "y", "in_size"))
        last_k, last_x, last_y, one_k, one_x = (Signal(reset_less=True, name=name)
                                                for name in ("last_k", "last_x", "last_y", "one_k", "one_x"))
        x_moves, k_moves, y_moves = Signal(), Signal(), Signal()
        m.d.comb += [self.uop.eq(k), self.first.eq(first), self.after.eq(after),
                     x_moves.eq(Mux(self.windows, self.full, last_k)),
                     k_moves.eq(~self.windows | self.full & last_x), y_moves.eq(self.full & last_k & last_x),
                     self.last.eq(y_moves & last_y)]
        with m.If(self.advance & k_moves):
            m.d.sync += [k.eq(Mux(last_k, first, k + 1)), last_k.eq(Mux(last_k, one_k, k == before))]
        with m.If(self.advance & x_moves):
            m.d.sync += [x.eq(Mux(last_x, in_size, x - 1)), last_x.eq(Mux(last_x, one_x, x == 1))]
        with m.If(self.advance & y_moves):
            m.d.sync += [y.eq(y - 1), last_y.eq(y == 1)]
        single, one_in, one_out = (self._ahead(m, name, value) for name, value in (
            ("single", gemm.uop_bgn + 1 == gemm.uop_end), ("one_in", gemm.iter_in == 1), ("one_out", gemm.iter_out == 1)))
        with m.If(self.begin):
            m.d.sync += [k.eq(gemm.uop_bgn), first.eq(gemm.uop_bgn), after.eq(gemm.uop_end), before.eq(gemm.uop_end - 2),
                         x.eq(gemm.iter_in - 1),
                         in_size.eq(gemm.iter_in - 1), y.eq(gemm.iter_out - 1), last_k.eq(single), one_k.eq(single),
                         last_x.eq(one_in), one_x.eq(one_in), last_y.eq(one_out)]
        if self.windowed:
            self._window(m, last_x)
        else:
            m.d.comb += self.full.eq(1)
        for name in INDICES:
            self._offset(m, name, x_moves, y_moves, last_x)
        return m

    def _ahead(self, m, name, value):
        """What is found out of `word` in the cycle before `begin`."""
        value = Value.cast(value)
        found = Signal(value.shape(), name=f"found_{name}", reset_less=True)
        m.d.sync += found.eq(value)
        return found

    def _window(self, m, last_x):
        """How many elements must still enter the window: all of a row's first one, later as many as it moves on."""
        insn = view(self.config, Opcode.DEPTHWISE, self.word)
        is_windows = insn.opcode == Opcode.DEPTHWISE
        # less one
        missing, whole, moves = (Signal(TAP_BITS, reset_less=True, name=name) for name in ("missing", "whole", "moves"))
        # whole == 0, moves == 0
        one_tap, one_move = (Signal(reset_less=True, name=name) for name in ("one_tap", "one_move"))
        still, first, full = (Signal(reset_less=True, name=name) for name in ("still", "first", "is_full"))
        m.d.comb += [self.full.eq(full), self.slides.eq(self.windows & (first | ~still))]
        with m.If(self.advance):
            m.d.sync += [missing.eq(missing - 1), full.eq(missing == 1)]
            with m.If(full):
                m.d.sync += [missing.eq(Mux(last_x, whole, moves)), full.eq(Mux(last_x, one_tap, one_move)),
                             first.eq(last_x)]
        taps, stride = Mux(is_windows, insn.taps, 1), insn.src_factor_in
        stands = stride == 0
        enter = Mux(~is_windows | stands, 0, Mux(stride < insn.taps, stride - 1, insn.taps - 1))
        found = {name: self._ahead(m, name, value) for name, value in (
            ("windows", is_windows), ("taps", taps), ("whole", taps - 1), ("one_tap", taps == 1), ("still", stands),
            ("moves", enter), ("one_move", ~is_windows | (stride <= 1) | (insn.taps == 1)))}
        with m.If(self.begin):
            m.d.sync += [self.windows.eq(found["windows"]), self.taps.eq(found["taps"]), missing.eq(found["whole"]),
                         full.eq(found["one_tap"]), first.eq(1), whole.eq(found["whole"]),
                         one_tap.eq(found["one_tap"]),
                         *(register.eq(found[name]) for name, register in
                         (("still", still), ("moves", moves), ("one_move", one_move)))]

    def _offset(self, m, name, x_moves, y_moves, last_x):
        """offset = y * factor_out + x * factor_in, kept by adding."""
        offset = getattr(self.offsets, name)
        shape = index_layout(self.config).members[name]
        outer = Signal(shape, reset_less=True, name=f"{name}_outer")
        step_out, step_in = (Signal(shape, reset_less=True, name=f"{name}_step_{way}") for way in ("out", "in"))
        current = Signal(shape, reset_less=True, name=f"{name}_offset")
        m.d.comb += offset.eq(current)
        with m.If(self.advance & x_moves):
            m.d.sync += current.eq(Mux(last_x, outer, current + step_in))
            with m.If(y_moves):
                m.d.sync += [current.eq(outer + step_out), outer.eq(outer + step_out)]
        if name == "src" and self.windowed:
            with m.If(self.advance & ~self.full):
                m.d.sync += current.eq(current + 1)
        factor_out, factor_in = (self._ahead(m, f"{name}_{way}", self._factor(name, way)) for way in ("out", "in"))
        with m.If(self.begin):
            m.d.sync += [current.eq(0), outer.eq(0), step_out.eq(factor_out), step_in.eq(factor_in)]

    def _factor(self, name, way):
        """What the instruction in `word` adds to an index where that loop goes on."""
        gemm, alu, depthwise = (view(self.config, opcode, self.word)
                                for opcode in (Opcode.GEMM, Opcode.ALU, Opcode.DEPTHWISE))
        of_gemm = getattr(gemm, f"{name}_factor_{way}")
        of_alu = getattr(alu, f"{name}_factor_{way}") if name != "wgt" else 0
        of_depthwise = of_gemm
        if way == "in" and name == "wgt":
            of_depthwise = 0
        elif way == "in" and name == "src":  # from the last element of a window to the first new one of the next
            of_depthwise = Mux(of_gemm > depthwise.taps, of_gemm - depthwise.taps + 1, 1)
        return Mux(gemm.opcode == Opcode.ALU, of_alu, Mux(gemm.opcode == Opcode.DEPTHWISE, of_depthwise, of_gemm))
