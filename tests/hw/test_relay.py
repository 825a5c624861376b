"""A relay against a queue of two."""

import random

from tests.hw.bench import run_bench
from weft.hw.relay import Relay


def test_a_relay_is_a_queue_of_two_that_takes_no_third_for_one_that_leaves():
    dut, rng = Relay(8), random.Random(1)

    async def bench(ctx):
        queue, taken, streamed = [], 0, 0
        for cycle in range(600):
            gives, takes = rng.random() < 0.7 or cycle > 500, rng.random() < 0.6 or cycle > 500
            ctx.set(dut.input.valid, gives)
            ctx.set(dut.input.payload, cycle % 256)
            ctx.set(dut.output.ready, takes)
            assert ctx.get(dut.input.ready) == (len(queue) < 2) and ctx.get(dut.output.valid) == bool(queue)
            assert not queue or ctx.get(dut.output.payload) == queue[0]
            leaves, comes = takes and bool(queue), gives and len(queue) < 2
            await ctx.tick()
            queue = queue[leaves:] + [cycle % 256] * comes
            taken += leaves
            streamed += leaves and cycle > 502
        assert taken > 250 and streamed == 97  # at last one in every cycle

    run_bench(dut, bench)
