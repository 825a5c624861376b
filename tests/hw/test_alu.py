"""Every ALU operation that takes no stages of its own, against its meaning in weft.isa."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.hw.bench import run_bench
from weft.hw.alu import SHORT, SLOW, AluLane, SlowLane
from weft.hw.requant import LATENCY
from weft.isa import ALU_BY_NAME, ALU_OPS

EDGES = np.array([0, 1, -1, 2, -2, 30, 31, 32, 33, 63, 64, -30, -31, -32, -33, -64, 65536, 2**31 - 1, -2**31, -2**31 + 1], np.int32)


def simulate(check):
    dut = AluLane()

    async def bench(ctx):
        check(ctx, dut)

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()


def test_every_operation_is_somewhere():
    assert {*SHORT, *SLOW, "requant", "lut"} == {op.name for op in ALU_OPS.values()}


def cases(name):
    """(x, y, the result) of many, as lists."""
    rng = np.random.default_rng(3)
    x = np.concatenate([np.repeat(EDGES, EDGES.size), rng.integers(-2**31, 2**31, 400).astype(np.int32)])
    y = np.concatenate([np.tile(EDGES, EDGES.size), np.where(rng.random(400) < 0.5, rng.integers(-40, 40, 400), x[:400][::-1])])
    expected = np.asarray(ALU_BY_NAME[name].meaning(x, y.astype(np.int32))).astype(np.int32)
    return list(zip(x.tolist(), y.tolist(), expected.tolist()))


@pytest.mark.parametrize("name", SHORT)
def test_operation(name):

    def check(ctx, dut):
        ctx.set(dut.op, ALU_BY_NAME[name].code)
        ctx.set(dut.used, 1)
        for a, b, result in cases(name):
            ctx.set(dut.x, a)
            ctx.set(dut.y, b)
            assert ctx.get(dut.result) == result, (a, b)

    simulate(check)


@pytest.mark.parametrize("name", SLOW)
def test_operation_in_stages(name):
    dut, them = SlowLane(), cases(name)

    async def bench(ctx):
        ctx.set(dut.enables, -1)
        ctx.set(dut.multiplies, name == "mul")
        for index in range(len(them) + LATENCY):
            if index < len(them):
                ctx.set(dut.x, them[index][0])
                ctx.set(dut.y, them[index][1])
            if index >= LATENCY:
                assert ctx.get(dut.result) == them[index - LATENCY][2], them[index - LATENCY]
            await ctx.tick()

    run_bench(dut, bench)


def test_clear_gives_zero():
    def check(ctx, dut):
        ctx.set(dut.used, 1)
        ctx.set(dut.op, ALU_BY_NAME["add"].code)
        ctx.set(dut.x, 5)
        assert ctx.get(dut.result) == 5
        ctx.set(dut.clear, 1)
        assert ctx.get(dut.result) == 0

    simulate(check)
