"""ACC and OUT, its narrowed shadow, as two halves: engines that work in different ones run beside one another."""

from types import SimpleNamespace

from amaranth import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory

from .dma import Shape, write_signature
from .extend import sign_extended
from .writing import bits_of, enables

HALVES = ("lower", "upper")
PORTS = {"multiply": "multiply_dst", "alu": "alu_dst"}  # of those that write, the port that reads what they change


class Acc(wiring.Component):
    """Every half has a port to read what is changed, one to read a second operand, and one to write; a read in the cycle of a
    write gives the old content. Two engines never use one half at once: see in_flight.py, and fresh.py for what one has to see of itself.

    Members
    -------
    multiply_dst_*, alu_dst_*, alu_src_*: read ports, a cycle; which half's data is meant the reader knows. multiply_*, alu_*: write
    ports. own_write: LOADs of ACC and ACC_8BIT, kinds being indices into `memories`. out_*: read port of OUT, which follows a
    cycle behind.
    """

    def __init__(self, config, memories):
        self.config, self.memories = config, memories
        self.lanes = lanes = config.batch * config.block_out
        address, data = exact_log2(config.acc_depth), Out(config.acc_bits).array(lanes)
        reads = {f"{port}_{name}": way for port in ("multiply_dst", "alu_dst", "alu_src") for name, way in
                 (("address", In(address)), ("enable", In(1)), *((half, data) for half in HALVES))}
        writes = {f"{port}_{name}": way for port in PORTS for name, way in
                  (("address", In(address)), ("enable", In(1)), ("data", In(config.acc_bits).array(lanes)))}
        super().__init__({**reads, **writes, "own_write": In(write_signature(config)), "out_address": In(address),
                          "out_enable": In(1), "out_data": Out(config.out_bits).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        loads = self._loads(m)
        halves = [self._half(m, half, loads) for half in (0, 1)]
        for port in ("multiply_dst", "alu_dst", "alu_src"):
            for name, found in zip(HALVES, halves):
                m.d.comb += [mine.eq(its) for mine, its in zip(getattr(self, f"{port}_{name}"), found[port.removeprefix("multiply_").removeprefix("alu_")])]
        upper = Signal(name="out_upper", reset_less=True)
        with m.If(self.out_enable):
            m.d.sync += upper.eq(self.out_address[-1])
        m.d.comb += [mine.eq(Mux(upper, high, low)) for mine, low, high in zip(self.out_data, *(half["out"] for half in halves))]
        return m

    def _loads(self, m):
        """What a LOAD writes: a bit and a value a lane."""
        config, write, lanes = self.config, self.own_write, range(self.lanes)
        wide, narrow = (Shape(config, kind) for kind in (Memory.ACC, Memory.ACC_8BIT))
        chosen = [Signal(name=f"loads_{memory.name.lower()}") for memory in (Memory.ACC, Memory.ACC_8BIT)]
        m.d.comb += [signal.eq(write.valid & (write.kind == self.memories.index(memory)))
                     for signal, memory in zip(chosen, (Memory.ACC, Memory.ACC_8BIT))]
        valid, enable = Signal(name="loads"), Signal(self.lanes, name="loads_enable")
        m.d.comb += [valid.eq(chosen[0] | chosen[1]), enable.eq(enables(chosen[0], write, wide, [lane * 4 for lane in lanes])
                                                                | enables(chosen[1], write, narrow, list(lanes)))]
        values = [Signal(config.acc_bits, name=f"loaded_{lane}") for lane in lanes]
        with m.If(valid):
            m.d.comb += [values[lane].eq(Mux(chosen[1], sign_extended(bits_of(write, narrow, lane, 8), config.acc_bits),
                                             bits_of(write, wide, lane * 4, 32).as_signed())) for lane in lanes]
        return SimpleNamespace(valid=valid, enable=enable, address=write.address[:len(self.out_address)], data=values)

    def _half(self, m, half, loads):
        """The memories of a half; what they read, by port."""
        config, name = self.config, HALVES[half]
        here = {port: Signal(name=f"{name}_{port}_here") for port in (*PORTS, *PORTS.values(), "alu_src", "loads", "out")}
        for port in (*PORTS, *PORTS.values(), "alu_src", "out"):
            m.d.comb += here[port].eq(getattr(self, f"{port}_enable") & (getattr(self, f"{port}_address")[-1] == half))
        m.d.comb += here["loads"].eq(loads.valid & (loads.address[-1] == half))
        row = exact_log2(config.acc_depth) - 1
        dst, write, written_address = (Signal(row, name=f"{name}_{which}") for which in ("dst", "write", "written"))
        m.d.comb += [dst.eq(Mux(here["alu_dst"], self.alu_dst_address, self.multiply_dst_address)[:row]),
                     write.eq(Mux(here["loads"], loads.address, Mux(here["alu"], self.alu_address, self.multiply_address))[:row])]
        enable, was = Signal(self.lanes, name=f"{name}_enable"), Signal(self.lanes, name=f"{name}_was", reset_less=True)
        m.d.comb += enable.eq((here["alu"] | here["multiply"]).replicate(self.lanes) | loads.enable & here["loads"].replicate(self.lanes))
        m.d.sync += was.eq(enable)
        with m.If(here["loads"] | here["alu"] | here["multiply"]):
            m.d.sync += written_address.eq(write)
        reads = {"dst": (dst, here["alu_dst"] | here["multiply_dst"]), "src": (self.alu_src_address[:row], here["alu_src"])}
        found = {"dst": [], "src": [], "out": []}
        for lane in range(self.lanes):
            m.submodules[f"{name}_acc_{lane}"] = acc = memory.Memory(shape=config.acc_bits, depth=config.acc_depth // 2, init=[])
            m.submodules[f"{name}_out_{lane}"] = out = memory.Memory(shape=config.out_bits, depth=config.out_depth // 2, init=[])
            port, shadow = acc.write_port(), out.write_port()
            value = Signal(config.acc_bits, name=f"{name}_value_{lane}")
            written = Signal(config.out_bits, name=f"{name}_written_{lane}", reset_less=True)
            with m.If(here["multiply"]):
                m.d.comb += value.eq(self.multiply_data[lane])
            with m.Elif(here["alu"]):
                m.d.comb += value.eq(self.alu_data[lane])
            with m.Else():
                m.d.comb += value.eq(loads.data[lane])
            m.d.comb += [port.addr.eq(write), port.en.eq(enable[lane]), port.data.eq(value),
                         shadow.addr.eq(written_address), shadow.en.eq(was[lane]), shadow.data.eq(written)]
            with m.If(enable[lane]):
                m.d.sync += written.eq(value)
            for which, (address, enabled) in reads.items():
                read = acc.read_port()
                m.d.comb += [read.addr.eq(address), read.en.eq(enabled)]
                found[which].append(read.data)
            read = out.read_port()
            m.d.comb += [read.addr.eq(self.out_address[:row]), read.en.eq(here["out"])]
            found["out"].append(read.data)
        return found
