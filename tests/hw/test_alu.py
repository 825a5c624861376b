"""Every ALU operation that takes no stages of its own, against its meaning in weft.isa."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from weft.hw.alu import SHORT, SLOW, AluLane
from weft.isa import ALU_BY_NAME, ALU_OPS

EDGES = np.array([0, 1, -1, 2, -2, 30, 31, 32, 33, 63, 64, -30, -31, -32, -33, -64, 65536, 2**31 - 1, -2**31, -2**31 + 1],
                 np.int32)


def test_every_operation_is_somewhere():
    assert {*SHORT, *SLOW, "requant", "lut"} == {op.name for op in ALU_OPS.values()}


def cases(name):
    """(x, y, the result) of many, as lists."""
    rng = np.random.default_rng(3)
    x = np.concatenate([np.repeat(EDGES, EDGES.size), rng.integers(-2**31, 2**31, 400).astype(np.int32)])
    y = np.concatenate([np.tile(EDGES, EDGES.size),
                        np.where(rng.random(400) < 0.5, rng.integers(-40, 40, 400), x[:400][::-1])])
    expected = np.asarray(ALU_BY_NAME[name].meaning(x, y.astype(np.int32))).astype(np.int32)
    return list(zip(x.tolist(), y.tolist(), expected.tolist()))


@pytest.mark.parametrize("name", SHORT)
def test_operation(name):
    dut = AluLane()

    async def bench(ctx):
        ctx.set(dut.adds, name == "add")
        ctx.set(dut.larger, name == "max")
        for x, y, result in cases(name):
            ctx.set(dut.x, x)
            ctx.set(dut.y, y)
            assert ctx.get(dut.result) == result, (x, y)

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()
