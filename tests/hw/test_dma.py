"""A LOAD's addresses and what it writes, against loops that say it plainly."""

import dataclasses

import numpy as np
import pytest
from amaranth import Module, Signal

from tests.hw.bench import run_bench
from weft.hw.axi import PAGE_BYTES
from weft.hw.bursts import MAX_BURST
from weft.hw.blocks import COMMAND, Shape
from weft.hw.dma import READ_AHEAD, LoadDma
from weft.isa import PRESETS, Memory

SMALL = PRESETS["1x8x8"]
CONFIGS = [SMALL, dataclasses.replace(SMALL, name="128 bits", bus_bits=128),
           dataclasses.replace(SMALL, name="512 bits", bus_bits=512)]
MEMORIES = (Memory.UOP, Memory.WGT, Memory.ACC, Memory.ACC_8BIT, Memory.LUT)
DRAM = np.random.default_rng(1).integers(0, 256, 1 << 18, np.uint8)


def random_command(rng, config):
    kind = int(rng.integers(len(MEMORIES)))
    below = lambda n: int(rng.integers(n))
    command = {"kind": kind, "sram": below(1 << 16), "x_size": below(9), "y_size": below(5), "x_stride": below(60),
               "pad_value": below(256)}
    if below(2):
        command |= {name: below(4) for name in ("x_pad_0", "x_pad_1", "y_pad_0", "y_pad_1")}
    if not below(6):
        command |= {"x_size": 200 + below(200), "y_size": 1}
    bytes_ = Shape(config, MEMORIES[kind]).bytes
    return command | {"address": below((1 << 16) // bytes_) * bytes_, "push_next": below(2)}


def naive(command, config):
    """(scratchpad element, its bytes) in the order written, and the byte addresses read."""
    get = lambda name: command.get(name, 0)
    shape = Shape(config, MEMORIES[command["kind"]])
    lane = 1 if MEMORIES[command["kind"]] == Memory.ACC_8BIT else shape.info.lane_bits // 8
    pad = (get("pad_value") ^ 128) - 128
    padding = int.to_bytes(pad, lane, "little", signed=True) * (shape.bytes // lane)
    written, element = [], get("sram")
    if not get("x_size"):
        return written
    for y in range(-get("y_pad_0"), get("y_size") + get("y_pad_1")):
        for x in range(-get("x_pad_0"), get("x_size") + get("x_pad_1")):
            inside = 0 <= y < get("y_size") and 0 <= x < get("x_size")
            at = get("address") + (y * get("x_stride") + x) * shape.bytes
            written.append((element % (1 << 16), DRAM[at:at + shape.bytes].tobytes() if inside else padding))
            element += 1
    return written


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_loads(config):
    rng = np.random.default_rng(config.bus_bits)
    dut, beat = LoadDma(config, MEMORIES), config.bus_bits // 8
    m, offered = Module(), Signal()
    m.submodules.dut = dut
    m.d.comb += dut.begin.eq(offered & dut.ready)
    commands = [random_command(rng, config) for _ in range(25)]
    queue, seen = [], []  # beats on their way; one list of (element, bytes) a command

    async def give(ctx):
        for command in commands:
            command |= {"wide": command["x_size"] != 0, "high": command["y_size"] != 0}
            for name in COMMAND:
                ctx.set(getattr(dut.command, name), command.get(name, 0))
            ctx.set(offered, 1)
            await ctx.tick().until(dut.ready)
        ctx.set(offered, 0)
        while len(seen) < len(commands):
            await ctx.tick()

    async def memory(ctx):
        bursts, beats = dut.memory.bursts, dut.memory.beats
        while True:
            ctx.set(bursts.ready, rng.random() < 0.8)
            ctx.set(beats.valid, bool(queue) and rng.random() < 0.8)
            if queue:
                ctx.set(beats.payload, int.from_bytes(DRAM[queue[0]:queue[0] + beat].tobytes(), "little"))
            _, _, fired, address, count, taken = await ctx.tick().sample(
                bursts.valid & bursts.ready, bursts.p.address, bursts.p.beats, beats.valid & beats.ready)
            if taken:
                queue.pop(0)
            if fired:
                assert 1 <= count <= MAX_BURST and address * beat % PAGE_BYTES + count * beat <= PAGE_BYTES
                queue.extend((address + index) * beat for index in range(count))
                assert len(queue) <= READ_AHEAD

    async def scratchpad(ctx):
        written, parts = [], []
        while True:
            w = dut.write
            _, _, valid, kind, address, part, every, last, data, done, push = await ctx.tick().sample(
                w.valid, w.kind, w.address, w.part, w.every, w.last, w.data, dut.done, dut.push_next)
            if valid:
                shape = Shape(config, MEMORIES[kind])
                assert kind == commands[len(seen)]["kind"] and part == (0 if every else len(parts))
                taken = data.to_bytes(beat, "little")[:min(beat, shape.bytes)]
                parts.append(taken * (shape.parts if every else 1))
                if last:
                    written.append((address, b"".join(parts)))
                    parts = []
            if done:
                assert push == commands[len(seen)]["push_next"]
                seen.append(written)
                written = []

    run_bench(m, give, clocked=(memory, scratchpad))
    assert not queue
    for command, written in zip(commands, seen):
        assert written == naive(command, config), command
