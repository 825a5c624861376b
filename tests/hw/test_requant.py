"""The requantisation datapath against weft.isa.requantise, for every kind of lane a program could hold."""

import numpy as np
from amaranth import Module

from tests.hw.bench import run_bench
from weft.hw.requant import KEPT, LATENCY, RequantChannel, RequantLane
from weft.isa import requantise
from weft.isa.quantise import QNT_LANE, unpack_lanes

EDGES = np.array([0, 1, 2, 3, -1, -2, -3, 127, -128, 1 << 17, (1 << 17) - 1, -(1 << 17), 2**31 - 1, -2**31], np.int64)


def cases(rng, count):
    """x and lanes as raw words: any bit pattern, edges and ties among them."""
    words = rng.integers(0, 1 << 32, (count, 4), np.uint64).astype(np.uint32)
    pick = lambda: rng.choice(EDGES, count).astype(np.int32).view(np.uint32)
    for column in (0, 1):
        words[:, column] = np.where(rng.random(count) < 0.4, pick(), words[:, column])
    x = np.where(rng.random(count) < 0.5, pick(), rng.integers(0, 1 << 32, count, np.uint64).astype(np.uint32)).view(np.int32)
    small = rng.random(count) < 0.5  # a product of few bits and a shift of few: ties
    x, words[small, 0] = np.where(small, rng.integers(-40, 40, count), x).astype(np.int32), 0
    words[small, 1] = rng.integers(0, 6, small.sum())
    words[small, 2] = words[small, 2] & 0x000000C0 | rng.integers(0, 5, small.sum()).astype(np.uint32) | 0x7F800000
    return x, words.view(QNT_LANE).reshape(-1)


def test_any_lane():
    x, lanes = cases(np.random.default_rng(7), 2500)
    expected = requantise(x, **unpack_lanes(lanes))
    m = Module()
    m.submodules.channel = channel = RequantChannel()
    m.submodules.lane = lane = RequantLane()
    m.d.comb += [channel.enables.eq(-1), lane.enables.eq(-1), lane.late_multiplier.eq(channel.late_multiplier)]
    m.d.comb += [getattr(lane, f"control_{stage}").eq(getattr(channel, f"control_{stage}")) for stage in KEPT]
    words = lanes.view(np.uint32).reshape(-1, 4)

    async def bench(ctx):
        results = []
        for index in range(len(x) + LATENCY):
            if index < len(x):
                ctx.set(lane.x, int(x[index]))
                ctx.set(lane.bias, int(lanes["bias"][index]))
                ctx.set(channel.multiplier, int(words[index, 1]) & 0x3FFFF)
                ctx.set(channel.control.as_value(), int(words[index, 2]))
            if index >= LATENCY:
                results.append(ctx.get(lane.result))
            await ctx.tick()
        assert np.array_equal(results, expected)

    run_bench(m, bench)
