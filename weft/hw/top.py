"""The accelerator: three modules over scratchpads, meeting through tokens, behind one AXI4 master and one AXI4-Lite
slave."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.isa.registers import ADDRESS_BITS, Queue
from weft.isa.table import CAPABILITIES, VERSION

from .axi import axi4, axi4_lite
from .compute import Compute
from .control import COUNTED, WAITS, Control
from .fetch import Fetch
from .instructions import InstructionQueue
from .load import BASES, Load, trace_module
from .memory_read import CLIENTS, ID_BITS, MemoryRead
from .memory_write import MemoryWrite
from .registers import Registers
from .store import Store
from .tokens import TokenQueue

trace = wiring.Signature({name: Out(trace_module) for name in ("load", "compute", "store")})
READ_CHANNELS, WRITE_CHANNELS = ("ar", "r"), ("aw", "w", "b")


class Accelerator(wiring.Component):
    """The whole machine of a Config, in the domain `sync`.

    Members
    -------
    m_axi: AXI4 master to DRAM. s_axil: AXI4-Lite slave, the registers. irq: the run has ended (FINISH, or the watchdog).
    trace: a pulse for each instruction as it begins and as it ends, in order for each module.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"m_axi": Out(axi4(config.bus_bits, ID_BITS)), "s_axil": In(axi4_lite(ADDRESS_BITS)),
                          "irq": Out(1), "trace": Out(trace)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.registers = registers = Registers()
        m.submodules.control = control = Control()
        m.submodules.read = read = MemoryRead(config)
        m.submodules.write = write = MemoryWrite(config)
        m.submodules.fetch = fetch = Fetch(config)
        m.submodules.load = load = Load(config)
        m.submodules.compute = compute = Compute(config)
        m.submodules.store = store = Store(config)
        units = {"load": load, "compute": compute, "store": store}

        wiring.connect(m, wiring.flipped(self.s_axil), registers.bus)
        self._memory(m, read, write)
        for name, client in zip(CLIENTS, (compute, fetch, load)):
            wiring.connect(m, client.memory, getattr(read, name))
        wiring.connect(m, load.write, compute.load_write)
        wiring.connect(m, store.bursts, write.bursts)
        wiring.connect(m, store.beats, write.beats)
        m.d.comb += [store.done.eq(write.done), compute.out_address.eq(store.out_address),
                     compute.out_enable.eq(store.out_enable), compute.out_takes.eq(store.out_takes)]
        m.d.comb += [its.eq(mine) for its, mine in zip(store.out_data, compute.out_data)]
        clear = self._clear(m, registers, control, fetch)
        for name, unit in units.items():
            m.submodules[f"{name}_queue"] = queue = InstructionQueue()
            wiring.connect(m, getattr(fetch, name), queue.input)
            wiring.connect(m, queue.output, unit.instructions)
            m.d.comb += [queue.clear.eq(clear), unit.clear.eq(clear)]
            m.d.comb += [getattr(unit.bases, base).eq(getattr(registers.written, f"{base}_base")) for base in BASES]
            wiring.connect(m, unit.trace, wiring.flipped(getattr(self.trace, name)))
        counts = self._tokens(m, load, compute, store, clear)
        self._control(m, registers, control, units, fetch, read, write, counts)
        return m

    def _memory(self, m, read, write):
        for side, channels in ((read, READ_CHANNELS), (write, WRITE_CHANNELS)):
            for name, member in self.m_axi.signature.members.items():
                if name.startswith(channels):
                    inner, outer = getattr(side.axi, name), getattr(self.m_axi, name)
                    m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)

    def _clear(self, m, registers, control, fetch):
        """Clearing the queues waits until no instruction is on its way from memory; it is for a machine that is not busy."""
        asked, clear = Signal(), Signal()
        with m.If(registers.clear_tokens & ~control.busy):
            m.d.sync += asked.eq(1)
        m.d.comb += [clear.eq(asked & fetch.quiet), fetch.clear.eq(clear)]
        with m.If(clear):
            m.d.sync += asked.eq(0)
        return clear

    def _tokens(self, m, load, compute, store, clear):
        """The four queues; their counts in the order of the register."""
        ends = {Queue.LOAD_TO_COMPUTE: (load.to_compute, compute.from_load),
                Queue.COMPUTE_TO_LOAD: (compute.to_load, load.from_compute),
                Queue.COMPUTE_TO_STORE: (compute.to_store, store.from_compute),
                Queue.STORE_TO_COMPUTE: (store.to_compute, compute.from_store)}
        counts = []
        for queue, (source, sink) in ends.items():
            m.submodules[queue.name.lower()] = tokens = TokenQueue()
            wiring.connect(m, source, tokens.source)
            wiring.connect(m, tokens.sink, sink)
            m.d.comb += tokens.clear.eq(clear)
            counts.append(tokens.count)
        return counts

    def _control(self, m, registers, control, units, fetch, read, write, counts):
        load, compute, store = units.values()
        m.d.comb += [
            control.launch.eq(registers.launch), control.finish.eq(compute.finish), registers.finish.eq(control.finished),
            fetch.launch.eq(control.begin), fetch.address.eq(registers.written.insn_address),
            fetch.count.eq(registers.written.insn_count), control.watchdog.eq(registers.written.watchdog),
            control.bus_error.eq(read.error | write.error), control.tokens_left.eq(Cat(*counts).any()),
            control.illegal.eq(load.illegal | compute.illegal | store.illegal), self.irq.eq(control.ended),
            control.moving.eq(Cat(read.beat, write.beat, write.done, compute.moving, load.write.valid,
                                  *((unit.trace.start | unit.trace.end) for unit in units.values())).any())]
        levels = {"load_waits_next": load.waits_next, "load_full": load.full, "store_waits_prev": store.waits_prev,
                  "store_full": store.full, "compute_waits_prev": compute.waits_prev,
                  "compute_waits_next": compute.waits_next,
                  "compute_full_prev": compute.full_prev, "compute_full_next": compute.full_next}
        m.d.comb += [getattr(control.waits, name).eq(levels[name]) for name in WAITS]
        events = {"acc_writes": compute.acc_write, "gemm_steps": compute.gemm_step, "alu_steps": compute.alu_step,
                  "read_beats": read.beat, "write_beats": write.beat, "load_busy": load.busy, "compute_busy": compute.busy,
                  "store_busy": store.busy}
        m.d.comb += [getattr(control.events, name).eq(events[name]) for name in COUNTED]
        values = {"cycles": control.cycles, "status": control.status, "version": VERSION, "capability": CAPABILITIES,
                  "fingerprint": int(self.config.fingerprint, 16) & 0xFFFFFFFF, "tokens": Cat(*counts),
                  **{name: getattr(control.counts, name) for name in COUNTED}}
        for name, value in values.items():
            m.d.comb += getattr(registers.read, name).eq(value)
