"""Every ALU operation that takes no stages of its own, against its meaning in weft.isa."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from weft.hw.alu import OPERATIONS, AluLane
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
    assert {*OPERATIONS, "requant", "lut"} == {op.name for op in ALU_OPS.values()}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name):
    rng = np.random.default_rng(3)
    x = np.concatenate([np.repeat(EDGES, EDGES.size), rng.integers(-2**31, 2**31, 400).astype(np.int32)])
    y = np.concatenate([np.tile(EDGES, EDGES.size), np.where(rng.random(400) < 0.5, rng.integers(-40, 40, 400), x[:400][::-1])])
    expected = np.asarray(ALU_BY_NAME[name].meaning(x, y.astype(np.int32))).astype(np.int32)

    def check(ctx, dut):
        ctx.set(dut.op, ALU_BY_NAME[name].code)
        ctx.set(dut.used, 1)
        for a, b, result in zip(x.tolist(), y.tolist(), expected.tolist()):
            ctx.set(dut.x, a)
            ctx.set(dut.y, b)
            assert ctx.get(dut.result) == result, (a, b)

    simulate(check)


def test_clear_gives_zero():
    def check(ctx, dut):
        ctx.set(dut.used, 1)
        ctx.set(dut.op, ALU_BY_NAME["add"].code)
        ctx.set(dut.x, 5)
        assert ctx.get(dut.result) == 5
        ctx.set(dut.clear, 1)
        assert ctx.get(dut.result) == 0

    simulate(check)
