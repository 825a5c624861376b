"""The GEMM core alone, as a part to be measured: the engine of GEMM and DEPTHWISE with INP, WGT, UOP, ACC and OUT.

No instruction is decoded here and nothing is fetched; the ALU's ports of ACC are tied.
"""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.hw.acc import HALVES, Acc
from weft.hw.compute import COMPUTE_MEMORIES
from weft.hw.blocks import write_signature
from weft.hw.micro_ops import MicroOps
from weft.hw.multiply import Multiply
from weft.isa import Memory

TAKEN = ("begin", "word", "head", "index", "load_write")  # of Multiply's members, those that come from outside
GIVEN = ("ready", "issuing", "done", "stepped", "strays")


class Core(wiring.Component):
    """Members: TAKEN and GIVEN, as of Multiply; `own_write`: LOADs of UOP and ACC; `out_*`: read port of OUT."""

    def __init__(self, config):
        self.config = config
        self.multiply = Multiply(config)
        members = self.multiply.signature.members
        out_lanes = Out(config.out_bits).array(config.batch * config.block_out)
        super().__init__({**{name: members[name] for name in (*TAKEN, *GIVEN)}, "own_write": In(write_signature(config)),
                          "out_address": In(exact_log2(config.out_depth)), "out_enable": In(1), "out_takes": In(1),
                          "out_data": out_lanes})

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiply = multiply = self.multiply
        m.submodules.acc = acc = Acc(self.config, COMPUTE_MEMORIES)
        m.submodules.micro_ops = uops = MicroOps(self.config)
        wiring.connect(m, wiring.flipped(self.load_write), multiply.load_write)
        wiring.connect(m, wiring.flipped(self.own_write), acc.own_write)
        wiring.connect(m, multiply.done, wiring.flipped(self.done))
        m.d.comb += [getattr(multiply, name).eq(getattr(self, name)) for name in TAKEN if name != "load_write"]
        m.d.comb += [getattr(self, name).eq(getattr(multiply, name)) for name in GIVEN if name != "done"]
        m.d.comb += [uops.write_address.eq(self.own_write.address), uops.write_data.eq(self.own_write.data[:32]),
                     uops.write_enable.eq(self.own_write.into[COMPUTE_MEMORIES.index(Memory.UOP)]),
                     uops.multiply_address.eq(multiply.uop_address), uops.multiply_enable.eq(multiply.uop_enable),
                     multiply.uop.eq(uops.multiply_data)]
        m.d.comb += [acc.multiply_address.eq(multiply.write_address), acc.multiply_halves.eq(multiply.write_halves),
                     acc.multiply_dst_address.eq(multiply.acc_address), acc.multiply_dst_halves.eq(multiply.acc_halves),
                     *(getattr(acc, name).eq(getattr(self, name)) for name in ("out_address", "out_enable", "out_takes"))]
        lanes = [zip(acc.multiply_data, multiply.write_data), zip(self.out_data, acc.out_data),
                 *(zip(getattr(multiply, f"acc_{half}"), getattr(acc, f"multiply_dst_{half}")) for half in HALVES)]
        m.d.comb += [its.eq(mine) for pair in lanes for its, mine in pair]
        return m
