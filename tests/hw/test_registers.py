"""The register map from the host's side."""

from tests.hw.bench import bit, read_register, run_bench, write_register
from weft.hw.registers import READ, WRITTEN, Registers
from weft.isa.registers import REGISTERS


def test_every_register():
    dut = Registers()

    async def bench(ctx):
        for index, name in enumerate(READ):
            ctx.set(getattr(dut.read, name), 0xABCD0000 + index)
        for index, name in enumerate(WRITTEN):
            await write_register(ctx, dut.bus, name, 0x12340000 + index)
        for name in READ:  # cannot be written
            await write_register(ctx, dut.bus, name, 0)
        await write_register(ctx, dut.bus, WRITTEN[0], 0xFFFFFFFF, strobe=0b0100)
        for index, name in enumerate(READ):
            assert await read_register(ctx, dut.bus, name) == 0xABCD0000 + index
        for index, name in enumerate(WRITTEN):
            expected = 0x12340000 + index | (0x00FF0000 if index == 0 else 0)
            assert await read_register(ctx, dut.bus, name) == ctx.get(getattr(dut.written, name)) == expected
        ctx.set(dut.finish, 1)
        assert await read_register(ctx, dut.bus, "control") == bit("control", "finish")

    assert {*READ, *WRITTEN, "control"} == set(REGISTERS)
    run_bench(dut, bench)


def test_control_bits_are_pulses():
    dut, seen = Registers(), []

    async def watch(ctx):
        while True:
            _, _, launch, clear = await ctx.tick().sample(dut.launch, dut.clear_tokens)
            if launch or clear:
                seen.append((launch, clear))

    async def bench(ctx):
        for value in (bit("control", "launch"), bit("control", "launch"), bit("control", "clear_tokens"), 0):
            await write_register(ctx, dut.bus, "control", value)
        await ctx.tick().repeat(3)

    run_bench(dut, bench, clocked=(watch,))
    assert seen == [(1, 0), (1, 0), (0, 1)]
