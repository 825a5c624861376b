"""The read side of the memory engine: clients share the AXI read channels, one id each."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from .axi import BURST_INCR, CACHE_BUFFERABLE, PROT_DATA, axi4
from .bursts import burst_layout
from .relay import Relay

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
        # a bit a client
        m.submodules.relay = relay = Relay(data.StructLayout({"data": self.config.bus_bits, "owner": len(CLIENTS)}))
        beats = relay.output
        for index, client in enumerate(self._clients()):
            m.d.comb += [client.bursts.ready.eq(free & ~taken), client.beats.payload.eq(beats.p.data),
                         client.beats.valid.eq(beats.valid & beats.p.owner[index])]
            taken = taken | client.bursts.valid
        m.d.comb += [beats.ready.eq(Cat(client.beats.ready & beats.p.owner[index]
                                        for index, client in enumerate(self._clients())).any()),
                     relay.input.valid.eq(axi.rvalid), axi.rready.eq(relay.input.ready), relay.input.p.data.eq(axi.rdata),
                     relay.input.p.owner.eq(Cat(axi.rid == index for index in range(len(CLIENTS)))),
                     self.beat.eq(axi.rvalid & axi.rready), self.error.eq(self.beat & (axi.rresp != 0))]
        return m

    def _clients(self):
        return [getattr(self, name) for name in CLIENTS]
