"""Rows of beats are split into bursts that stay within a page, and no more is asked for than may be on its way."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .axi import ADDRESS_BITS, PAGE_BYTES

MAX_BURST = 64  # beats; short enough that no client of the read side waits long behind another
ROW_BITS = 28  # beats of a row: 2**16 elements of up to 4096 bytes


def row_layout(config) -> data.StructLayout:
    """A row: the address of its first beat, counted in beats, and how many beats (not 0)."""
    return data.StructLayout({"address": ADDRESS_BITS - exact_log2(config.bus_bits // 8), "beats": ROW_BITS})


def burst_layout(config) -> data.StructLayout:
    """A burst: the address of its first beat, counted in beats, and its beats (1 to MAX_BURST)."""
    return data.StructLayout({"address": ADDRESS_BITS - exact_log2(config.bus_bits // 8), "beats": MAX_BURST.bit_length()})


class BurstSplitter(wiring.Component):
    """Turns rows into bursts, one a cycle.

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
        left = Signal(ROW_BITS)
        credits = Signal(range((self.limit or 0) + 1), init=self.limit or 0)

        to_page = Signal(range(page_beats + 1))
        most = Signal(range(self.max_burst + 1))
        beats = Signal.like(most)
        m.d.comb += [
            to_page.eq(page_beats - address[:exact_log2(page_beats)]),
            most.eq(Mux(to_page < self.max_burst, to_page, self.max_burst)),
            beats.eq(Mux(left < most, left, most)),
            self.bursts.p.address.eq(address),
            self.bursts.p.beats.eq(beats),
            self.bursts.valid.eq((left != 0) & ((credits >= beats) if self.limit else 1)),
            self.idle.eq(left == 0),
        ]
        fired, ended = Signal(), Signal()
        m.d.comb += [fired.eq(self.bursts.valid & self.bursts.ready),
                     ended.eq((left == 0) | fired & (left <= most)),
                     self.rows.ready.eq(ended)]
        if self.limit:
            m.d.sync += credits.eq(credits - Mux(fired, beats, 0) + self.release)
        with m.If(fired):
            m.d.sync += [address.eq(address + beats), left.eq(left - beats)]
        with m.If(self.rows.valid & ended):
            m.d.sync += [address.eq(self.rows.p.address), left.eq(self.rows.p.beats)]
        return m
