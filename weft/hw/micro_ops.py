"""UOP: micro-ops for both engines; and of each the half of ACC that its dst is in, for the decoder."""

from amaranth import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .layouts import micro_op

ENGINES = ("multiply", "alu")


class MicroOps(wiring.Component):
    """Members: `write_*`; a read port for each engine, a cycle; `first_address`: a micro-op of which `upper` says, a cycle
    later, that its dst is in the upper half of ACC. A read in the cycle of a write to the same address gives
    anything."""

    def __init__(self, config):
        self.config = config
        address = exact_log2(config.uop_depth)
        ports = {f"{engine}_{name}": way for engine in ENGINES for name, way in
                 (("address", In(address)), ("enable", In(1)), ("data", Out(32)))}
        super().__init__({"write_address": In(address), "write_enable": In(1), "write_data": In(32), **ports,
                          "first_address": In(address), "upper": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=32, depth=self.config.uop_depth, init=[])
        m.submodules.halves = halves = memory.Memory(shape=1, depth=self.config.uop_depth, init=[])
        for storage, data in ((words, self.write_data), (halves, micro_op(self.config)(self.write_data).dst[-1])):
            write = storage.write_port()
            m.d.comb += [write.addr.eq(self.write_address), write.en.eq(self.write_enable), write.data.eq(data)]
        for engine in ENGINES:
            read = words.read_port()
            m.d.comb += [read.addr.eq(getattr(self, f"{engine}_address")), read.en.eq(getattr(self, f"{engine}_enable")),
                         getattr(self, f"{engine}_data").eq(read.data)]
        first = halves.read_port()
        m.d.comb += [first.addr.eq(self.first_address), first.en.eq(1), self.upper.eq(first.data)]
        return m
