"""Token queue and gate against a naive model."""

import random

from tests.hw.bench import run_bench
from weft.hw.tokens import TokenGate, TokenQueue


def test_queue_counts_reserves_and_never_loses():
    dut, rng = TokenQueue(depth=3), random.Random(1)

    async def bench(ctx):
        count = reserved = 0
        for _ in range(500):
            await ctx.tick()
            assert ctx.get(dut.count) == count and ctx.get(dut.sink.available) == (count > 0)
            assert ctx.get(dut.source.space) == (reserved < 3)
            reserve = reserved < 3 and rng.random() < 0.5
            push, pop = reserved > count and rng.random() < 0.5, count > 0 and rng.random() < 0.4
            ctx.set(dut.source.reserve, reserve)
            ctx.set(dut.source.push, push)
            ctx.set(dut.sink.pop, pop)
            count, reserved = count + push - pop, reserved + reserve - pop

    run_bench(dut, bench)


def test_queue_clears_what_lies_in_it_but_not_what_is_coming():
    dut = TokenQueue(depth=3)

    async def bench(ctx):
        for reserve, push, clear in ((1, 0, 0), (1, 1, 0), (0, 0, 1), (0, 1, 0), (0, 0, 0)):
            ctx.set(dut.source.reserve, reserve)
            ctx.set(dut.source.push, push)
            ctx.set(dut.clear, clear)
            await ctx.tick()
        assert ctx.get(dut.count) == 1 and ctx.get(dut.source.space)

    run_bench(dut, bench)


def test_gate_pops_both_then_waits_for_room():
    gate = TokenGate()

    async def bench(ctx):
        def state():
            names = ("waits_prev", "waits_next", "full_prev", "full_next", "start")
            popped = {"pop"} if ctx.get(gate.from_prev.pop) else set()
            return {n for n in names if ctx.get(getattr(gate, n))} | popped

        for signal in (gate.valid, gate.ready, gate.pop_prev, gate.pop_next, gate.push_next):
            ctx.set(signal, 1)
        ctx.set(gate.to_prev.space, 1)
        assert state() == {"waits_prev", "waits_next", "full_next"}
        ctx.set(gate.from_prev.available, 1)
        assert state() == {"waits_next", "full_next"}  # neither is popped before both are there
        ctx.set(gate.from_next.available, 1)
        assert state() == {"full_next"}
        await ctx.tick()
        assert state() == {"pop", "full_next"}
        await ctx.tick()
        ctx.set(gate.from_prev.available, 0)
        assert state() == {"full_next"}  # popped once only
        ctx.set(gate.to_next.space, 1)
        assert state() == set()
        await ctx.tick()
        assert state() == {"start"}
        await ctx.tick()
        assert state() == {"waits_prev"}  # the next instruction

    run_bench(gate, bench)

