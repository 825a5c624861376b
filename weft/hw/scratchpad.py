"""Scratchpads: narrow memories side by side, written a bus beat at a time and read an element at a time.

Narrow words are what block RAMs have, and what a simulator moves in one register.
"""

from amaranth import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2


class Scratchpad(wiring.Component):
    """`words` memories of `width` bits that share addresses; each can be written alone. A read takes one cycle.

    A read in the cycle of a write to the same address gives the old content.
    """

    def __init__(self, words: int, width: int, depth: int):
        self.words, self.width, self.depth = words, width, depth
        address = exact_log2(depth)
        super().__init__({"write_address": In(address), "write_enable": In(words), "write_data": In(width).array(words),
                          "read_address": In(address), "read_enable": In(1), "read_data": Out(width).array(words)})

    def elaborate(self, platform):
        m = Module()
        for index in range(self.words):
            m.submodules[f"word_{index}"] = storage = memory.Memory(shape=self.width, depth=self.depth, init=[])
            write, read = storage.write_port(), storage.read_port()
            m.d.comb += [write.addr.eq(self.write_address), write.en.eq(self.write_enable[index]),
                         write.data.eq(self.write_data[index]), read.addr.eq(self.read_address),
                         read.en.eq(self.read_enable), self.read_data[index].eq(read.data)]
        return m


class AccScratchpad(wiring.Component):
    """ACC, a lane a memory, with two read ports that see the write of the same cycle; and OUT, its narrowed shadow.

    OUT follows a cycle behind. `read` ports take one cycle.
    """

    def __init__(self, config):
        self.config = config
        self.lanes = lanes = config.batch * config.block_out
        address = exact_log2(config.acc_depth)
        super().__init__({
            "write_address": In(address), "write_enable": In(lanes), "write_data": In(config.acc_bits).array(lanes),
            "dst_address": In(address), "dst_enable": In(1), "dst_data": Out(config.acc_bits).array(lanes),
            "src_address": In(address), "src_enable": In(1), "src_data": Out(config.acc_bits).array(lanes),
            "out_address": In(address), "out_enable": In(1), "out_data": Out(config.out_bits).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        any_write = Signal()
        hit = {port: Signal(name=f"{port}_hit", reset_less=True) for port in ("dst", "src")}
        m.d.comb += any_write.eq(self.write_enable.any())
        for port in hit:
            with m.If(getattr(self, f"{port}_enable")):
                m.d.sync += hit[port].eq(any_write & (self.write_address == getattr(self, f"{port}_address")))
        written_address = Signal.like(self.write_address, reset_less=True)
        written_enable = Signal(self.lanes, reset_less=True)
        m.d.sync += [written_address.eq(self.write_address), written_enable.eq(self.write_enable)]
        for lane in range(self.lanes):
            config = self.config
            m.submodules[f"acc_{lane}"] = acc = memory.Memory(shape=config.acc_bits, depth=config.acc_depth, init=[])
            m.submodules[f"out_{lane}"] = out = memory.Memory(shape=config.out_bits, depth=config.out_depth, init=[])
            write, shadow = acc.write_port(), out.write_port()
            written = Signal(self.config.acc_bits, name=f"written_{lane}", reset_less=True)
            m.d.comb += [write.addr.eq(self.write_address), write.en.eq(self.write_enable[lane]),
                         write.data.eq(self.write_data[lane]),
                         shadow.addr.eq(written_address), shadow.en.eq(written_enable[lane]), shadow.data.eq(written)]
            with m.If(self.write_enable[lane]):
                m.d.sync += written.eq(self.write_data[lane])
            for port in ("dst", "src"):
                read = acc.read_port()
                m.d.comb += [read.addr.eq(getattr(self, f"{port}_address")), read.en.eq(getattr(self, f"{port}_enable")),
                             getattr(self, f"{port}_data")[lane].eq(Mux(hit[port], written, read.data))]
            read = out.read_port()
            m.d.comb += [read.addr.eq(self.out_address), read.en.eq(self.out_enable), self.out_data[lane].eq(read.data)]
        return m
