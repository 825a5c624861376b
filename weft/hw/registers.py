"""The host's registers behind AXI4-Lite, generated from weft.isa.registers."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa.registers import ADDRESS_BITS, REGISTERS

from .axi import axi4_lite

WRITTEN = tuple(r.name for r in REGISTERS.values() if r.access == "rw" and r.name != "control")
READ = tuple(r.name for r in REGISTERS.values() if r.access == "ro")


class Registers(wiring.Component):
    """A read takes two cycles, a write is taken when address and data are both there. Unknown offsets read 0.

    Members
    -------
    bus: AXI4-Lite. written: a value a rw register, reset to 0. read: a value a ro register.
    launch, clear_tokens: one cycle each time the host writes 1 to that bit of control. finish: bit 1 of control.
    """

    def __init__(self):
        word = {name: Out(32) for name in WRITTEN}
        super().__init__({"bus": In(axi4_lite(ADDRESS_BITS)), "written": Out(wiring.Signature(word)),
                          "read": In(wiring.Signature({name: Out(32) for name in READ})),
                          "launch": Out(1), "clear_tokens": Out(1), "finish": In(1)})

    def elaborate(self, platform):
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _write(self, m):
        bus, taken = self.bus, Signal()
        m.d.comb += [taken.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready)),
                     bus.awready.eq(taken), bus.wready.eq(taken)]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(taken):
            m.d.sync += bus.bvalid.eq(1)
            with m.Switch(bus.awaddr[2:]):
                for name in WRITTEN:
                    with m.Case(REGISTERS[name].offset >> 2):
                        register = getattr(self.written, name)
                        for byte in range(4):
                            with m.If(bus.wstrb[byte]):
                                m.d.sync += register.word_select(byte, 8).eq(bus.wdata.word_select(byte, 8))
        control = REGISTERS["control"]
        to_control = taken & (bus.awaddr[2:] == control.offset >> 2)
        for name, low, _ in control.bits:
            if name != "finish":
                m.d.comb += getattr(self, name).eq(to_control & bus.wstrb[low // 8] & bus.wdata[low])

    def _read(self, m):
        bus, taken, asked, value = self.bus, Signal(), Signal(), Signal(32)
        m.d.comb += [taken.eq(bus.arvalid & ~asked & (~bus.rvalid | bus.rready)), bus.arready.eq(taken)]
        m.d.sync += asked.eq(taken)
        values = []
        for name, register in REGISTERS.items():
            chosen = Signal(name=f"reads_{name}", reset_less=True)
            m.d.sync += chosen.eq(bus.araddr[2:] == register.offset >> 2)
            if name == "control":
                finish = next(low for bit, low, _ in register.bits if bit == "finish")
                values.append(Mux(chosen, self.finish << finish, 0))
            else:
                values.append(Mux(chosen, getattr(self.written if register.access == "rw" else self.read, name), 0))
        m.d.comb += value.eq(reduce(or_, values))
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(asked):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(value)]
