"""A host and a DRAM for the accelerator in Amaranth's simulator."""

from collections import deque

import numpy as np
from amaranth.sim import Simulator

from weft.hw.axi import PAGE_BYTES
from weft.hw.top import Accelerator
from weft.isa.registers import REGISTERS


def run_bench(design, *benches, clocked=()):
    """Simulates `design` until every one of `benches` (async functions of a context) is through; `clocked` run beside
    them."""
    sim = Simulator(design)
    sim.add_clock(1e-6)
    for bench in benches:
        sim.add_testbench(bench)
    for bench in clocked:
        sim.add_testbench(bench, background=True)
    sim.run()


class Dram:
    """An AXI4 slave over a bytearray. `latency`: cycles from a burst's address to its first beat. It checks the protocol."""

    def __init__(self, axi, memory: bytearray, latency: int, rng=None, broken: range = range(0)):
        self.axi, self.memory, self.latency, self.rng, self.broken = axi, memory, latency, rng, broken
        self.width = len(axi.rdata) // 8

    async def serve(self, ctx):
        axi, reads, writes, answers, cycle = self.axi, deque(), deque(), deque(), 0
        while True:
            go = [self.rng is None or self.rng.random() < 0.6 for _ in range(5)]
            for name, ready in zip(("arready", "awready"), go):
                ctx.set(getattr(axi, name), ready)
            ctx.set(axi.wready, go[2] and bool(writes))
            gives = bool(reads) and reads[0][2] <= cycle and go[3]
            ctx.set(axi.rvalid, gives)
            if gives:
                address, beats, _, index = reads[0]
                ctx.set(axi.rdata, int.from_bytes(self.memory[address:address + self.width], "little"))
                ctx.set(axi.rid, index)
                ctx.set(axi.rlast, beats == 1)
                ctx.set(axi.rresp, 2 if address in self.broken else 0)
            ctx.set(axi.bvalid, bool(answers) and answers[0] <= cycle and go[4])
            values = (await ctx.tick().sample(
                axi.arvalid & axi.arready, axi.awvalid & axi.awready, axi.wvalid & axi.wready, axi.rvalid & axi.rready,
                axi.bvalid & axi.bready, *self._payloads()))[2:]
            self._after(*values[:5], values[5:], reads, writes, answers, cycle)
            cycle += 1

    def _payloads(self):
        axi = self.axi
        return (axi.araddr, axi.arlen, axi.arid, axi.awaddr, axi.awlen, axi.wdata, axi.wstrb, axi.wlast)

    def _after(self, ar, aw, w, r, b, payload, reads, writes, answers, cycle):
        araddr, arlen, arid, awaddr, awlen, data, strobe, last = payload
        if r:
            reads[0][0] += self.width
            reads[0][1] -= 1
            if not reads[0][1]:
                reads.popleft()
        if b:
            answers.popleft()
        for taken, address, beats in ((ar, araddr, arlen + 1), (aw, awaddr, awlen + 1)):
            assert not taken or address % self.width == 0 and address % PAGE_BYTES + beats * self.width <= PAGE_BYTES
        if ar:
            reads.append([araddr, arlen + 1, cycle + self.latency, arid])
        if aw:
            writes.append([awaddr, awlen + 1])
        if w:
            burst = writes[0]
            for byte in range(self.width):
                if strobe >> byte & 1:
                    self.memory[burst[0] + byte] = data >> 8 * byte & 255
            burst[0] += self.width
            burst[1] -= 1
            assert last == (burst[1] == 0)
            if last:
                writes.popleft()
                answers.append(cycle + 2)


async def write_register(ctx, axil, name, value, strobe=15):
    ctx.set(axil.awaddr, REGISTERS[name].offset)
    ctx.set(axil.wdata, value)
    ctx.set(axil.wstrb, strobe)
    ctx.set(axil.awvalid, 1)
    ctx.set(axil.wvalid, 1)
    ctx.set(axil.bready, 1)
    await ctx.tick().until(axil.awready & axil.wready)
    ctx.set(axil.awvalid, 0)
    ctx.set(axil.wvalid, 0)
    await ctx.tick().until(axil.bvalid)


async def read_register(ctx, axil, name):
    ctx.set(axil.araddr, REGISTERS[name].offset)
    ctx.set(axil.arvalid, 1)
    ctx.set(axil.rready, 1)
    await ctx.tick().until(axil.arready)
    ctx.set(axil.arvalid, 0)
    value, = await ctx.tick().sample(axil.rdata).until(axil.rvalid)
    return value


def bit(register, name):
    """The mask of a register's one-bit field."""
    return 1 << next(low for field, low, _ in REGISTERS[register].bits if field == name)


def run_stream(config, memory: bytearray, address: int, count: int, *, latency=3, rng=None, broken=range(0), registers=None,
               then=None, limit=20000):
    """Runs a stream on the whole accelerator. `memory` is changed in place. Returns (registers by name, trace events:
    (cycle, module, "start" or "end")). `then`: an async function of (context, dut) that runs after it."""
    dut, seen, events = Accelerator(config), {}, []
    dram = Dram(dut.m_axi, memory, latency, rng, broken)
    pulses = [(m, e) for m in ("load", "compute", "store") for e in ("start", "end")]

    async def host(ctx):
        for name, value in {"insn_count": count, "insn_address": address, **(registers or {}), "control": 1}.items():
            await write_register(ctx, dut.s_axil, name, value)
        for _ in range(limit):
            if ctx.get(dut.irq):
                break
            await ctx.tick()
        else:
            raise AssertionError(f"no end after {limit} cycles")
        for name in REGISTERS:
            seen[name] = await read_register(ctx, dut.s_axil, name)
        if then:
            await then(ctx, dut)

    async def watch(ctx):
        cycle = 0
        while True:
            _, _, *values = await ctx.tick().sample(*(getattr(getattr(dut.trace, m), e) for m, e in pulses))
            events.extend((cycle, *pulse) for pulse, value in zip(pulses, values) if value)
            cycle += 1

    run_bench(dut, host, clocked=(dram.serve, watch))
    return seen, events


def image_of(program) -> bytearray:
    """DRAM from address 0, of a raw program."""
    return bytearray(program.dram_base) + bytearray(program.dram_before.tobytes()) + bytearray(PAGE_BYTES)


def assert_events_are_paired(events, modules):
    """Every instruction began and ended once, in order; `modules`: how many each module ran."""
    for module, count in modules.items():
        starts = [c for c, m, e in events if (m, e) == (module, "start")]
        ends = [c for c, m, e in events if (m, e) == (module, "end")]
        assert len(starts) == len(ends) == count, (module, starts, ends)
        assert all(np.less_equal(starts, ends))
