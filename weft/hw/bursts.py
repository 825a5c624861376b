"""Rows of beats are split into bursts that stay within a page, and no more is asked for than may be on its way."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .axi import ADDRESS_BITS, PAGE_BYTES

MAX_BURST = 64  # beats; short enough that no client of the read side waits long behind another
KNOWN = 3  # cycles until a burst is known: where the page ends, how many beats there are, and whether they may be asked for
ROW_BITS = 28  # beats of a row: 2**16 elements of up to 4096 bytes


def row_layout(config) -> data.StructLayout:
    """A row: the address of its first beat, counted in beats, and how many beats (not 0)."""
    return data.StructLayout({"address": ADDRESS_BITS - exact_log2(config.bus_bits // 8), "beats": ROW_BITS})


def burst_layout(config) -> data.StructLayout:
    """A burst: the address of its first beat, counted in beats, and its beats (1 to MAX_BURST)."""
    return data.StructLayout({"address": ADDRESS_BITS - exact_log2(config.bus_bits // 8), "beats": MAX_BURST.bit_length()})


class BurstSplitter(wiring.Component):
    """Turns rows into bursts: one, KNOWN + 1 cycles after the row or the burst before it. Rows have many beats.

    Parameters
    ----------
    limit: beats that may be asked for and not yet released; at least max_burst. None: no limit.

    Members
    -------
    rows, bursts: streams of `row_layout` and `burst_layout`.
    release: a beat that was asked for has come and gone.
    idle: nothing is left to ask for.
    """

    def __init__(self, config, limit: int | None = None, max_burst: int = MAX_BURST):
        self.config, self.limit, self.max_burst = config, limit, max_burst
        super().__init__({"rows": In(stream.Signature(row_layout(config))),
                          "bursts": Out(stream.Signature(burst_layout(config))),
                          "release": In(1), "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        page_beats = PAGE_BYTES * 8 // self.config.bus_bits
        address = Signal.like(self.rows.p.address, reset_less=True)
        left, busy, known = Signal(ROW_BITS, reset_less=True), Signal(), Signal(KNOWN)
        credits = Signal(range((self.limit or 0) + 1), init=self.limit or 0)
        most = Signal(range(self.max_burst + 1), reset_less=True)
        beats, last, enough = Signal.like(most, reset_less=True), Signal(reset_less=True), Signal(reset_less=True)
        to_page = Signal(range(page_beats + 1))
        fired = Signal()
        m.d.comb += [
            to_page.eq(page_beats - address[:exact_log2(page_beats)]), self.bursts.p.address.eq(address),
            self.bursts.p.beats.eq(beats),
            self.bursts.valid.eq(known[-1] & enough), self.idle.eq(~busy), fired.eq(self.bursts.valid & self.bursts.ready),
            self.rows.ready.eq(~busy)]
        with m.If(busy):
            m.d.sync += [known.eq(Cat(1, known)), most.eq(Mux(to_page < self.max_burst, to_page, self.max_burst)),
                         beats.eq(Mux(left < most, left, most)), last.eq(left <= most),
                         enough.eq(credits >= beats if self.limit else 1)]
        if self.limit:
            m.d.sync += credits.eq(credits - Mux(fired, beats, 0) + self.release)
        with m.If(fired):
            m.d.sync += [address.eq(address + beats), left.eq(left - beats), known.eq(0), busy.eq(~last)]
        with m.If(self.rows.valid & ~busy):
            m.d.sync += [address.eq(self.rows.p.address), left.eq(self.rows.p.beats), busy.eq(1), known.eq(0)]
        return m
