"""Instructions on their way, against a list; and those that wait for an engine, against a queue."""

import numpy as np

from tests.hw.bench import run_bench
from weft.hw.in_flight import ENGINES, InFlight, Waiting
from weft.hw.steps import ENTRIES, HEAD, Engine

CYCLES = 600


def head(engine, uses, flags=0):
    return HEAD.const({"engine": engine, "uses": uses, "push_prev": flags & 1, "push_next": flags >> 1 & 1, "finish": flags >> 2})


def test_instructions_end_in_order_and_wait_for_older_ones_of_other_engines():
    """Engines are done with random ones of theirs, oldest first; entries are given whenever there is space."""
    rng, dut = np.random.default_rng(1), InFlight()

    async def bench(ctx):
        flying, done, late, index, ended = [], set(), [], 0, 0  # flying: (number, engine, uses, flags), in order
        for _ in range(CYCLES):
            finished = []
            for engine, name in enumerate(ENGINES, 1):
                mine = [number for number, e, _, _ in flying if e == engine and number not in done and number not in late]
                takes = bool(mine) and rng.random() < 0.3
                ctx.set(getattr(dut, name).valid, takes)
                ctx.set(getattr(dut, name).index, mine[0] % ENTRIES if takes else 0)
                finished += mine[:1] if takes else []
            done.update(late)
            late = finished  # what is done in a cycle is known in the next
            engine, uses, flags = int(rng.integers(4)), int(rng.integers(8)), int(rng.integers(8))
            gives = len(flying) < ENTRIES and rng.random() < 0.7
            ctx.set(dut.head, head(engine, uses, flags))
            ctx.set(dut.give, gives)
            assert ctx.get(dut.space) == (len(flying) < ENTRIES) and ctx.get(dut.busy) == bool(flying)
            still = [number for number, e, _, _ in flying if e and number not in done]
            assert ctx.get(dut.still) == sum(1 << number % ENTRIES for number in still)
            waits = [number for number, e, used, _ in flying if number in still and used & uses and e != engine]
            assert ctx.get(dut.waits_for) == sum(1 << number % ENTRIES for number in waits)
            ends = bool(flying) and flying[0][0] not in still
            assert ctx.get(dut.end) == ends and (not gives or ctx.get(dut.index) == index % ENTRIES)
            tokens = flying[0][3] if ends else 0
            assert ctx.get(dut.push_prev) | ctx.get(dut.push_next) << 1 | ctx.get(dut.finish) << 2 == tokens
            await ctx.tick()
            if ends:
                flying.pop(0)
                ended += 1
            if gives:
                flying.append((index, engine, uses, flags))
                index += 1
        assert ended > CYCLES // 4

    run_bench(dut, bench)


def test_those_that_wait_begin_in_order():
    for depth in (1, 3):
        rng, dut = np.random.default_rng(depth), Waiting(depth)

        async def bench(ctx, rng=rng, dut=dut, depth=depth):
            queue, pending, number, begun, leaves = [], (1 << ENTRIES) - 1, 0, 0, False  # queue: [number, entries that it waits for]
            for _ in range(CYCLES):
                still = pending & ~(1 << int(rng.integers(ENTRIES)))  # one more is done
                ready, gives = rng.random() < 0.7, rng.random() < 0.6
                ctx.set(dut.still, still)
                ctx.set(dut.ready, ready)
                begins = bool(queue) and ready and not queue[0][1] and not leaves
                assert ctx.get(dut.begin) == begins and ctx.get(dut.free) == (len(queue) < depth)
                assert ctx.get(dut.valid) == (1 << len(queue)) - 1
                if queue:
                    assert (ctx.get(dut.held_word), ctx.get(dut.held_index)) == (queue[0][0], queue[0][0] % ENTRIES)
                gives = gives and len(queue) < depth
                waits = still & int(rng.integers(1 << ENTRIES)) & int(rng.integers(1 << ENTRIES))
                ctx.set(dut.give, gives)
                ctx.set(dut.word, number)
                ctx.set(dut.index, number % ENTRIES)
                ctx.set(dut.waits_for, waits)
                await ctx.tick()
                queue = [[n, left & still] for n, left in (queue[1:] if leaves else queue)]
                leaves = begins
                begun += begins
                if gives:
                    queue.append([number, waits])
                    number += 1
                pending = still or (1 << ENTRIES) - 1
            assert begun > CYCLES // 25

        run_bench(dut, bench)
