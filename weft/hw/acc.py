"""ACC and OUT, its narrowed shadow, as two halves: engines that work in different ones run beside one another."""

from types import SimpleNamespace

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .blocks import Shape, write_signature
from .extend import sign_extended
from .writing import bits_of, enables

HALVES = ("lower", "upper")
PORTS = {"multiply": "multiply_dst", "alu": "alu_dst"}  # of those that write, the port that reads what they change
READS = (*PORTS.values(), "alu_src")


def in_halves(enable, address) -> Cat:
    """A bit a half: that in which `address` lies, where `enable`."""
    return Cat(enable & ~address[-1], enable & address[-1])


class Acc(wiring.Component):
    """Every half has a port to read what is changed, one to read a second operand, and one to write; a read in the cycle of
    a write gives anything. Two engines never use one half at once: see in_flight.py, and fresh.py for what one has to see of
    itself.

    Who reads or writes says a cycle ahead, by a register for each half, in which one: it reaches all lanes.

    Members
    -------
    multiply_dst_*, alu_dst_*, alu_src_*: read ports, two cycles; which half's data is meant the reader knows. multiply_*,
    alu_*: write ports. *_halves: as `in_halves`. own_write: LOADs of ACC and ACC_8BIT, kinds being indices into `memories`;
    written a cycle later.
    out_*: read port of OUT, which follows a cycle behind; `out_takes`, in the cycle after a read: out_data is that from the
    next cycle on.
    """

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        self.lanes = lanes = config.batch * config.block_out
        address, data = exact_log2(config.acc_depth), Out(config.acc_bits).array(lanes)
        reads = {f"{port}_{name}": way for port in READS for name, way in
                 (("address", In(address)), ("halves", In(len(HALVES))), *((half, data) for half in HALVES))}
        writes = {f"{port}_{name}": way for port in PORTS for name, way in
                  (("address", In(address)), ("halves", In(len(HALVES))), ("data", In(config.acc_bits).array(lanes)))}
        super().__init__({**reads, **writes, "own_write": In(write_signature(config)), "out_address": In(address),
                          "out_enable": In(1), "out_takes": In(1), "out_data": Out(config.out_bits).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        loads = self._loads(m)
        halves = [self._half(m, half, loads) for half in range(len(HALVES))]
        for port in READS:
            for name, found in zip(HALVES, halves):
                m.d.comb += [mine.eq(its) for mine, its in zip(getattr(self, f"{port}_{name}"), found[port.split("_")[1]])]
        upper, was_upper = Signal(name="out_upper", reset_less=True), Signal(name="out_was_upper", reset_less=True)
        with m.If(self.out_enable):
            m.d.sync += was_upper.eq(self.out_address[-1])
        with m.If(self.out_takes):
            m.d.sync += upper.eq(was_upper)
        m.d.comb += [mine.eq(Mux(upper, high, low))
                     for mine, low, high in zip(self.out_data, *(half["out"] for half in halves))]
        return m

    def _loads(self, m):
        """What a LOAD writes, a cycle later: in which halves, and a bit and a value a lane."""
        config, write, lanes = self.config, self.own_write, range(self.lanes)
        wide, narrow = (Shape(config, kind) for kind in (Memory.ACC, Memory.ACC_8BIT))
        chosen = [Signal(name=f"loads_{memory.name.lower()}") for memory in (Memory.ACC, Memory.ACC_8BIT)]
        m.d.comb += [signal.eq(write.into[self.memories.index(memory)])
                     for signal, memory in zip(chosen, (Memory.ACC, Memory.ACC_8BIT))]
        valid, halves = Signal(name="loads"), Signal(len(HALVES), name="loads_halves")
        enable = Signal(self.lanes, name="loads_enable", reset_less=True)
        address = Signal(len(self.out_address), name="loads_address", reset_less=True)
        values = [Signal(config.acc_bits, name=f"loaded_{lane}", reset_less=True) for lane in lanes]
        m.d.comb += valid.eq(chosen[0] | chosen[1])
        m.d.sync += halves.eq(in_halves(valid, write.address[:len(address)]))
        with m.If(valid):
            m.d.sync += [address.eq(write.address), enable.eq(enables(chosen[0], write, wide, [lane * 4 for lane in lanes])
                                                              | enables(chosen[1], write, narrow, list(lanes)))]
            m.d.sync += [values[lane].eq(Mux(chosen[1], sign_extended(bits_of(write, narrow, lane, 8), config.acc_bits),
                                             bits_of(write, wide, lane * 4, 32).as_signed())) for lane in lanes]
        return SimpleNamespace(halves=halves, enable=enable, address=address, data=values)

    def _half(self, m, half, loads):
        """The memories of a half; what they read, by port."""
        config, name, row = self.config, HALVES[half], exact_log2(self.config.acc_depth) - 1
        here = {port: getattr(self, f"{port}_halves")[half] for port in (*PORTS, *READS)} | {"loads": loads.halves[half]}
        dst, write, written_address = (Signal(row, name=f"{name}_{which}") for which in ("dst", "write", "written"))
        m.d.comb += [dst.eq(Mux(here["alu_dst"], self.alu_dst_address, self.multiply_dst_address)[:row]),
                     write.eq(Mux(here["loads"], loads.address,
                                  Mux(here["alu"], self.alu_address, self.multiply_address))[:row])]
        writes, was = Signal(name=f"{name}_writes"), Signal(self.lanes, name=f"{name}_was", reset_less=True)
        m.d.comb += writes.eq(here["alu"] | here["multiply"])
        with m.If(writes | here["loads"]):
            m.d.sync += written_address.eq(write)
        reads = {"dst": (dst, here["alu_dst"] | here["multiply_dst"]), "src": (self.alu_src_address[:row], here["alu_src"])}
        was_read = {which: Signal(name=f"{name}_{which}_was_read") for which in reads}
        m.d.sync += [was_read[which].eq(enabled) for which, (_, enabled) in reads.items()]
        found = {"dst": [], "src": [], "out": []}
        for lane in range(self.lanes):
            m.submodules[f"{name}_acc_{lane}"] = acc = memory.Memory(shape=config.acc_bits, depth=config.acc_depth // 2,
                                                                     init=[])
            m.submodules[f"{name}_out_{lane}"] = out = memory.Memory(shape=config.out_bits, depth=config.out_depth // 2,
                                                                     init=[])
            port, shadow = acc.write_port(), out.write_port()
            value, enable = Signal(config.acc_bits, name=f"{name}_value_{lane}"), Signal(name=f"{name}_enable_{lane}")
            written = Signal(config.out_bits, name=f"{name}_written_{lane}", reset_less=True)
            with m.If(here["multiply"]):
                m.d.comb += value.eq(self.multiply_data[lane])
            with m.Elif(here["alu"]):
                m.d.comb += value.eq(self.alu_data[lane])
            with m.Else():
                m.d.comb += value.eq(loads.data[lane])
            m.d.comb += [enable.eq(writes | here["loads"] & loads.enable[lane]), port.addr.eq(write), port.en.eq(enable),
                         port.data.eq(value), shadow.addr.eq(written_address), shadow.en.eq(was[lane]),
                         shadow.data.eq(written)]
            m.d.sync += was[lane].eq(enable)
            with m.If(enable):
                m.d.sync += written.eq(value)
            for which, (address, enabled) in reads.items():
                read = acc.read_port()
                m.d.comb += [read.addr.eq(address), read.en.eq(enabled)]
                found[which].append(Signal(config.acc_bits, name=f"{name}_{which}_{lane}", reset_less=True))
                with m.If(was_read[which]):
                    m.d.sync += found[which][-1].eq(read.data)
            read = out.read_port()
            m.d.comb += [read.addr.eq(self.out_address[:row]), read.en.eq(self.out_enable)]
            found["out"].append(Signal(config.out_bits, name=f"{name}_shown_{lane}", reset_less=True))
            with m.If(self.out_takes):
                m.d.sync += found["out"][-1].eq(read.data)
        return found
