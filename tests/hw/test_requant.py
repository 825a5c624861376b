"""The lane of requantisation, products and shifts against weft.isa, for any parameters that QNT could hold."""

from collections import deque

import numpy as np
from amaranth import Cat, Elaboratable, Module, Signal

from tests.hw.bench import run_bench
from tests.hw.test_alu import cases as slow_cases
from weft.hw.parameters import STAGES, Parameters
from weft.hw.requant import FIELDS, LATENCY, LongLane
from weft.isa import Config, requantise
from weft.isa.quantise import QNT_LANE, unpack_lanes

CONFIG = Config(name="lane", block_in=1, block_out=1, bus_bits=128,
                inp_buffer=1 << 10, wgt_buffer=1 << 10, acc_buffer=1 << 12, qnt_buffer=1 << 14)
"""An element of QNT is a lane, and a beat."""
FIRST = STAGES.index(0)
EDGES = np.array([0, 1, 2, 3, -1, -2, -3, 127, -128, 1 << 17, (1 << 17) - 1, -(1 << 17), 2**31 - 1, -2**31], np.int64)


def cases(rng, count):
    """x and lanes as raw words: any bit pattern, edges and ties among them."""
    words = rng.integers(0, 1 << 32, (count, 4), np.uint64).astype(np.uint32)
    pick = lambda: rng.choice(EDGES, count).astype(np.int32).view(np.uint32)
    for column in (0, 1):
        words[:, column] = np.where(rng.random(count) < 0.4, pick(), words[:, column])
    x = np.where(rng.random(count) < 0.5, pick(),
                 rng.integers(0, 1 << 32, count, np.uint64).astype(np.uint32)).view(np.int32)
    small = rng.random(count) < 0.5  # a product of few bits and a shift of few: ties
    x, words[small, 0] = np.where(small, rng.integers(-40, 40, count), x).astype(np.int32), 0
    words[small, 1] = rng.integers(0, 6, small.sum())
    words[small, 2] = words[small, 2] & 0x000000C0 | rng.integers(0, 5, small.sum()).astype(np.uint32) | 0x7F800000
    return x, words.view(QNT_LANE).reshape(-1)


class Stages(Elaboratable):
    """Parameters and a lane, with the stages that steps are in; `requants` and `slow` begin one in `read`."""

    def __init__(self):
        self.requants, self.slow = Signal(), Signal()
        self.parameters, self.lane = Parameters(CONFIG, kind=3), LongLane()

    def elaborate(self, platform):
        m = Module()
        m.submodules.parameters, m.submodules.lane = parameters, lane = self.parameters, self.lane
        stages = {}
        for name, begins in (("requants", self.requants), ("slows", self.slow)):
            later = Signal(len(STAGES) - 1, name=name)
            m.d.sync += later.eq(Cat(begins, later))
            stages[name] = Cat(begins, later)
            m.d.comb += getattr(lane, name).eq(stages[name][FIRST:])
        m.d.comb += [parameters.enables.eq(stages["requants"]), parameters.none.eq(stages["slows"][FIRST]),
                     lane.enables.eq(lane.requants | lane.slows)]
        m.d.comb += [getattr(lane, name).eq(getattr(parameters.channel_0, name)) for name in FIELDS]
        return m

    async def fill(self, ctx, lanes):
        write = self.parameters.write
        ctx.set(write.into, 1 << 3)
        ctx.set(write.reached, 1)
        for address, lane in enumerate(lanes):
            ctx.set(write.address, address)
            ctx.set(write.data, int.from_bytes(lane.tobytes(), "little"))
            await ctx.tick()
        ctx.set(write.into, 0)

    async def results(self, ctx, steps):
        """What becomes of `steps`, (kind, index of the parameters, x, y), one a cycle: (quantised, result) of each.
        None is no step."""
        lane, operands, seen = self.lane, deque([(None, 0, 0, 0)] * (FIRST + 1)), []
        for cycle in range(len(steps) + FIRST + LATENCY):
            step = steps[cycle] if cycle < len(steps) and steps[cycle] else (None, 0, 0, 0)
            kind, index, *_ = step
            ctx.set(self.requants, kind == "requant")
            ctx.set(self.slow, kind in ("mul", "shr"))
            ctx.set(self.parameters.index, index)
            operands.append(step)
            before, (_, _, x, y) = operands.popleft()[0], operands[0]  # the steps in BIAS and in TAKE
            for port, value in ((lane.x, x), (lane.y, y), (lane.multiplies, before == "mul"),
                                (lane.shifts, before == "shr")):
                ctx.set(port, value)
            if cycle >= FIRST + LATENCY:
                seen.append((ctx.get(lane.quantised), ctx.get(lane.result)))
            await ctx.tick()
        return seen


def test_any_step_in_any_order():
    rng = np.random.default_rng(7)
    x, lanes = cases(rng, CONFIG.qnt_depth)
    quantised = requantise(x, **unpack_lanes(lanes)).tolist()
    steps = [(("requant", index, int(x[index]), 0), (quantised[index], 0)) for index in range(len(x))]
    steps += [((name, 0, a, b), (0, result)) for name in ("mul", "shr") for a, b, result in slow_cases(name)]
    steps += [(None, (0, 0))] * 100
    steps = [steps[index] for index in rng.permutation(len(steps))]
    stages = Stages()

    async def run(ctx):
        await stages.fill(ctx, lanes)
        for (step, expected), seen in zip(steps, await stages.results(ctx, [step for step, _ in steps]), strict=True):
            assert seen == expected, step

    run_bench(stages, run)
