"""The order of steps and their indices, against the loops as the manual has them."""

import dataclasses

import numpy as np
import pytest

from tests.hw.bench import run_bench
from weft.hw.loops import INDICES, Loops, index_layout
from weft.isa import PRESETS, Instruction, Opcode, encode

CONFIG = dataclasses.replace(PRESETS["1x8x8"], block_in=4, block_out=4)


def naive(i):
    """(micro-op, offsets of dst, src and wgt, full, slides) of every step; None for an index that does not matter."""
    get = lambda name: i.fields.get(name, 0)
    at = lambda name, y, x: y * get(f"{name}_factor_out") + x * get(f"{name}_factor_in")
    for y in range(i.iter_out):
        if i.opcode != Opcode.DEPTHWISE:
            for x in range(i.iter_in):
                for k in range(get("uop_bgn"), i.uop_end):
                    yield k, *(at(name, y, x) for name in INDICES), True, False
            continue
        for k in range(get("uop_bgn"), i.uop_end):
            has = -1  # the last element in the window
            for x in range(i.iter_in):
                first, end = at("src", y, x), at("src", y, x) + i.taps
                missing = [e for e in range(first, end) if e > has]
                for element in missing or [None]:
                    full = element in (None, end - 1)
                    yield k, at("dst", y, x) if full else None, element, at("wgt", y, x), full, element is not None
                has = end - 1


def random_nest(rng, opcode):
    below = lambda n: int(rng.integers(n))
    bgn = below(9)
    fields = dict(uop_bgn=bgn, uop_end=bgn + 1 + below(4), iter_out=1 + below(3), iter_in=1 + below(5))
    fields |= {f"{kind}_factor_{way}": below(9) for kind in INDICES for way in ("out", "in")}
    if opcode == Opcode.DEPTHWISE:
        fields["taps"] = 1 + below(4)
        fields["src_factor_in"] = int(rng.choice([0, 1, 1, 2, 3, 4, 5, 8]))
        del fields["wgt_factor_in"]
    if opcode == Opcode.ALU:
        del fields["wgt_factor_in"], fields["wgt_factor_out"]
    return Instruction(opcode, fields)


@pytest.mark.parametrize("opcode", [Opcode.GEMM, Opcode.ALU, Opcode.DEPTHWISE], ids=lambda o: o.name)
def test_steps(opcode):
    """One nest straight after another, and `advance` not in every cycle."""
    rng, dut = np.random.default_rng(opcode), Loops(CONFIG)
    sizes = {name: 1 << field.shape.width for name, field in index_layout(CONFIG)}

    async def bench(ctx):
        for _ in range(40):
            nest = random_nest(rng, opcode)
            ctx.set(dut.word, int.from_bytes(encode([nest], CONFIG).tobytes(), "little"))
            await ctx.tick()  # with the last step of the nest before
            ctx.set(dut.advance, 0)
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            steps = list(naive(nest))
            for number, (k, *offsets, full, slides) in enumerate(steps):
                while rng.random() < 0.3:
                    ctx.set(dut.advance, 0)
                    await ctx.tick()
                assert (ctx.get(dut.uop), ctx.get(dut.full), ctx.get(dut.slides)) == (k, full, slides), (nest, number)
                for name, offset in zip(INDICES, offsets):
                    assert offset is None or ctx.get(getattr(dut.offsets, name)) == offset % sizes[name], (
                        nest, number, name)
                assert ctx.get(dut.last) == (number == len(steps) - 1), (nest, number)
                ctx.set(dut.advance, 1)
                if number < len(steps) - 1:
                    await ctx.tick()

    run_bench(dut, bench)
