"""Scratchpads: narrow memories side by side, written a bus beat at a time and read an element at a time.

Narrow words are what block RAMs have, and what a simulator moves in one register.
"""

from amaranth import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2


BLOCK_RAM = {"ram_style": "block"}  # an attribute that synthesis reads, yosys's as well as others


class Scratchpad(wiring.Component):
    """`words` memories of `width` bits that share addresses; each can be written alone. A read takes one cycle. block: an
    FPGA is to use block RAM, however small they are.

    Nobody may depend on what a read gives in the cycle of a write to the same address.
    """

    def __init__(self, words: int, width: int, depth: int, block: bool = False):
        self.words, self.width, self.depth, self.block = words, width, depth, block
        address = exact_log2(depth)
        super().__init__({"write_address": In(address), "write_enable": In(words), "write_data": In(width).array(words),
                          "read_address": In(address), "read_enable": In(1), "read_data": Out(width).array(words)})

    def elaborate(self, platform):
        m = Module()
        for index in range(self.words):
            m.submodules[f"word_{index}"] = storage = memory.Memory(shape=self.width, depth=self.depth, init=[],
                                                                           attrs=BLOCK_RAM if self.block else {})
            write, read = storage.write_port(), storage.read_port()
            m.d.comb += [write.addr.eq(self.write_address), write.en.eq(self.write_enable[index]),
                         write.data.eq(self.write_data[index]), read.addr.eq(self.read_address),
                         read.en.eq(self.read_enable), self.read_data[index].eq(read.data)]
        return m
