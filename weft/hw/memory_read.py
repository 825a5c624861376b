"""The read side of the memory engine: clients share the AXI read channels, one id each."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from .axi import BURST_INCR, CACHE_BUFFERABLE, PROT_DATA, axi4
from .bursts import burst_layout

CLIENTS = ("compute", "fetch", "load")  # in order of priority; the index is the AXI id
ID_BITS = bits_for(len(CLIENTS) - 1)


def read_client(config) -> wiring.Signature:
    """What a client sees: bursts go out, their beats come back in order."""
    return wiring.Signature({"bursts": Out(stream.Signature(burst_layout(config))),
                             "beats": In(stream.Signature(config.bus_bits))})


class MemoryRead(wiring.Component):
    """Grants one burst a cycle, the first client in CLIENTS first; a client takes its beats when they come.

    A client must always take its beats in the end without waiting for another client's: the channel is one.

    Members
    -------
    axi: only the read channels are driven.
    compute, fetch, load: `read_client`, flipped.
    beat: a beat was taken. error: it carried an error response.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"axi": Out(axi4(config.bus_bits, ID_BITS)), "beat": Out(1), "error": Out(1),
                          **{name: In(read_client(config)) for name in CLIENTS}})

    def elaborate(self, platform):
        m = Module()
        axi, beat_bytes = self.axi, self.config.bus_bits // 8
        free = Signal()
        m.d.comb += [free.eq(~axi.arvalid | axi.arready), axi.arsize.eq(exact_log2(beat_bytes)),
                     axi.arburst.eq(BURST_INCR), axi.arcache.eq(CACHE_BUFFERABLE), axi.arprot.eq(PROT_DATA)]
        with m.If(free):
            m.d.sync += axi.arvalid.eq(0)
            for index, client in reversed(list(enumerate(self._clients()))):
                with m.If(client.bursts.valid):  # the last assignment wins: the first client
                    m.d.sync += [axi.arvalid.eq(1), axi.arid.eq(index),
                                 axi.araddr.eq(client.bursts.p.address << exact_log2(beat_bytes)),
                                 axi.arlen.eq(client.bursts.p.beats - 1)]
        taken = 0
        full, held, mine = Signal(), Signal(self.config.bus_bits, reset_less=True), Signal(len(CLIENTS))  # mine: a bit a client
        for index, client in enumerate(self._clients()):
            m.d.comb += [client.bursts.ready.eq(free & ~taken), client.beats.payload.eq(held),
                         client.beats.valid.eq(mine[index])]
            taken = taken | client.bursts.valid
        leaves = Cat(client.beats.valid & client.beats.ready for client in self._clients()).any()
        m.d.comb += [axi.rready.eq(~full | leaves), self.beat.eq(axi.rvalid & axi.rready),
                     self.error.eq(self.beat & (axi.rresp != 0))]
        with m.If(leaves):
            m.d.sync += [full.eq(0), mine.eq(0)]
        with m.If(self.beat):
            m.d.sync += [full.eq(1), held.eq(axi.rdata), mine.eq(Cat(axi.rid == index for index in range(len(CLIENTS))))]
        return m

    def _clients(self):
        return [getattr(self, name) for name in CLIENTS]
