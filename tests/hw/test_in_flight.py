"""Instructions on their way, against a list; and those that wait for an engine, against a queue."""

import numpy as np

from tests.hw.bench import run_bench
from weft.hw.in_flight import ENGINES, InFlight, Waiting
from weft.hw.steps import ENTRIES, HEAD

CYCLES = 600


def head(engine, uses, flags=0):
    return HEAD.const({"engine": engine, "uses": uses, "push_prev": flags & 1, "push_next": flags >> 1 & 1,
                       "finish": flags >> 2})


def test_instructions_end_in_order_and_wait_for_older_ones_of_other_engines():
    """Engines are done with random ones of theirs, oldest first; entries are given whenever there is space."""
    rng, dut = np.random.default_rng(1), InFlight()

    async def bench(ctx):
        # flying: (number, engine, uses, flags), in order
        flying, done, late, index, ended, tokens = [], set(), [], 0, 0, None
        for cycle in range(CYCLES):
            finished = []
            for runs, name in enumerate(ENGINES, 1):
                mine = [number for number, e, _, _ in flying if e == runs and number not in done and number not in late]
                takes = bool(mine) and rng.random() < 0.1
                ctx.set(getattr(dut, name).valid, takes)
                ctx.set(getattr(dut, name).index, mine[0] % ENTRIES if takes else 0)
                finished += mine[:1] if takes else []
            done.update(late)
            late = finished  # what is done in a cycle is known in the next
            shows = cycle % 3 == 0  # another head; what begins was there in the cycle before
            if shows:
                engine, uses, flags = int(rng.integers(4)), int(rng.integers(8)), int(rng.integers(8))
            gives = cycle % 3 == 2 and len(flying) < ENTRIES and rng.random() < 0.9
            ctx.set(dut.head, head(engine, uses, flags))
            ctx.set(dut.give, gives)
            assert ctx.get(dut.space) == (len(flying) < ENTRIES) and ctx.get(dut.busy) == (bool(flying)
                                                                                           or tokens is not None)
            still = [number for number, e, _, _ in flying if e and number not in done]
            assert ctx.get(dut.still) == sum(1 << number % ENTRIES for number in still)
            waits = [number for number, e, used, _ in flying if number in still and used & uses and e != engine]
            assert shows or ctx.get(dut.waits_for) == sum(1 << number % ENTRIES for number in waits)
            assert ctx.get(dut.end) == (tokens is not None) and (not gives or ctx.get(dut.index) == index % ENTRIES)
            assert ctx.get(dut.push_prev) | ctx.get(dut.push_next) << 1 | ctx.get(dut.finish) << 2 == (tokens or 0)
            ends = bool(flying) and flying[0][0] not in still
            tokens = flying[0][3] if ends else None  # it ends in the next cycle
            await ctx.tick()
            if ends:
                flying.pop(0)
                ended += 1
            if gives:
                flying.append((index, engine, uses, flags))
                index += 1
        assert ended > CYCLES // 8

    run_bench(dut, bench)


def test_those_that_wait_begin_in_order():
    for depth in (2, 4):
        rng, dut = np.random.default_rng(depth), Waiting(depth, 8)

        async def bench(ctx, rng=rng, dut=dut, depth=depth):
            queue, pending, number, begun = [], (1 << ENTRIES) - 1, 0, 0  # queue: [number, entries that it waits for]
            holds, able, begins = False, False, False  # of the first of them
            for _ in range(CYCLES):
                still = pending & ~(1 << int(rng.integers(ENTRIES)))  # one more is done
                ready, gives = rng.random() < 0.7, rng.random() < 0.6 and len(queue) < depth
                ctx.set(dut.still, still)
                ctx.set(dut.ready, ready)
                assert ctx.get(dut.begin) == begins and ctx.get(dut.free) == (len(queue) < depth)
                marks = [ctx.get(mark) for k, mark in enumerate(dut.marks) if ctx.get(dut.valid) >> k & 1]
                assert sorted(marks) == sorted(n % 256 for n, _ in queue)
                if holds:
                    assert (ctx.get(dut.held_word), ctx.get(dut.held_index)) == (queue[0][0], queue[0][0] % ENTRIES)
                waits = still & int(rng.integers(1 << ENTRIES)) & int(rng.integers(1 << ENTRIES))
                ctx.set(dut.give, gives)
                ctx.set(dut.word, number)
                ctx.set(dut.mark, number % 256)
                ctx.set(dut.index, number % ENTRIES)
                ctx.set(dut.waits_for, waits)
                await ctx.tick()
                begun += begins
                left = queue[1:] if begins else queue
                done = bool(queue) and not queue[0][1] & still
                holds, able, begins = (not begins and bool(queue), holds and not begins and done,
                                       able and ready and not begins)
                queue = [[n, entries & still] for n, entries in left]
                if gives:
                    queue.append([number, waits])
                    number += 1
                pending = still or (1 << ENTRIES) - 1
            assert begun > CYCLES // 25

        run_bench(dut, bench)
