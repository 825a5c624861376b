"""The write side of the memory engine: bursts and their beats, several bursts on their way."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .axi import BURST_INCR, CACHE_BUFFERABLE, PROT_DATA, axi4
from .bursts import burst_layout
from .memory_read import ID_BITS
from .relay import Relay


def write_beat(config) -> data.StructLayout:
    """A beat of data and which of its bytes to write."""
    return data.StructLayout({"data": config.bus_bits, "strobe": config.bus_bits // 8})


class MemoryWrite(wiring.Component):
    """Takes a burst, then its beats; the next burst is taken with the last beat, so beats follow one another. Two beats may
    come ahead of their burst.

    Members
    -------
    axi: only the write channels are driven.
    bursts, beats: streams of `burst_layout` and `write_beat`.
    taken: a burst was taken. done: a burst is in memory. beat: a beat was given. error: a burst was answered with an error.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"axi": Out(axi4(config.bus_bits, ID_BITS)), "bursts": In(stream.Signature(burst_layout(config))),
                          "beats": In(stream.Signature(write_beat(config))),
                          "taken": Out(1), "done": Out(1), "beat": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        axi, beat_bytes = self.axi, self.config.bus_bits // 8
        m.submodules.relay = relay = Relay(write_beat(self.config))
        wiring.connect(m, wiring.flipped(self.beats), relay.input)
        beats = relay.output
        # beats of the burst; whether there are, and one
        left, some, last = Signal.like(self.bursts.p.beats), Signal(), Signal()
        m.d.comb += [axi.awsize.eq(exact_log2(beat_bytes)), axi.awburst.eq(BURST_INCR),
                     axi.awcache.eq(CACHE_BUFFERABLE), axi.awprot.eq(PROT_DATA), axi.bready.eq(1),
                     axi.wdata.eq(beats.p.data), axi.wstrb.eq(beats.p.strobe), axi.wlast.eq(last),
                     axi.wvalid.eq(beats.valid & some), beats.ready.eq(axi.wready & some),
                     self.beat.eq(axi.wvalid & axi.wready), self.taken.eq(self.bursts.valid & self.bursts.ready),
                     self.bursts.ready.eq((~axi.awvalid | axi.awready) & (~some | self.beat & last)),
                     self.done.eq(axi.bvalid), self.error.eq(axi.bvalid & (axi.bresp != 0))]
        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(self.beat):
            m.d.sync += [left.eq(left - 1), some.eq(~last), last.eq(left == 2)]
        with m.If(self.taken):
            m.d.sync += [axi.awvalid.eq(1), axi.awlen.eq(self.bursts.p.beats - 1), left.eq(self.bursts.p.beats), some.eq(1),
                         last.eq(self.bursts.p.beats == 1), axi.awaddr.eq(self.bursts.p.address << exact_log2(beat_bytes))]
        return m
