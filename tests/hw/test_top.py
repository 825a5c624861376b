"""The whole accelerator in Amaranth's simulator, small machines: programs against what DRAM must hold, and the registers."""

import dataclasses

import numpy as np
import pytest

from tests.conformance import programs
from tests.hw.bench import assert_events_are_paired, bit, image_of, read_register, run_stream, write_register
from tests.random_programs import random_program
from weft.isa import PRESETS, Instruction, Memory, Module, Opcode, decode, encode
from weft.isa.registers import TOKEN_QUEUE_DEPTH
from weft.sim.functional import FunctionalDevice

SMALL = PRESETS["1x8x8"]
TINY = dataclasses.replace(SMALL, name="1x4x4", block_in=4, block_out=4, uop_buffer=1024, inp_buffer=1024, wgt_buffer=2048,
                           acc_buffer=4096, qnt_buffer=1024)
WIDE = dataclasses.replace(TINY, name="4x4x4 on 256 bits", batch=4, bus_bits=256)
FINISH = Instruction(Opcode.FINISH)
ADDRESS = 0x1000


def counted(instructions):
    return {m.name.lower(): sum(i.module == m for i in instructions) for m in Module}


def run(config, instructions, memory=None, **options):
    memory = memory or bytearray(0x4000)
    stream = encode(instructions, config).tobytes()
    memory[ADDRESS:ADDRESS + len(stream)] = stream
    return memory, *run_stream(config, memory, ADDRESS, len(instructions), **options)


@pytest.mark.parametrize("name", ["b1k8s_000_single_gemm_00", "b1k8s_004_alu_imm_00"])
def test_conformance(name):
    program = next(p for p in programs() if p.name == name)
    memory = image_of(program)
    _, events = run_stream(program.config, memory, program.insn_address, len(program.insns))
    size = program.dram_after.size
    assert memory[program.dram_base:][:size] == program.dram_after.tobytes()
    assert_events_are_paired(events, counted(decode(program.insns, program.config)))


@pytest.mark.parametrize("config, seed", [(TINY, 1), (TINY, 2), (WIDE, 3), (WIDE, 4)], ids=str)
def test_random_programs_with_a_slow_memory(config, seed):
    program = random_program(config, seed, 10)
    device = FunctionalDevice(config, program.dram_base + program.dram_before.size)
    device.write(program.dram_base, program.dram_before)
    device.launch(program.insn_address, len(program.insns))
    memory = image_of(program)
    run_stream(config, memory, program.insn_address, len(program.insns), rng=np.random.default_rng(seed))
    assert memory[:device.dram_size] == device.read(0, device.dram_size).tobytes()


def test_counters_status_and_trace():
    nop = Instruction(Opcode.GEMM, {"push_prev": 1, "push_next": 1})
    instructions = [nop, Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "pop_next": 1, "push_next": 1}),
                    Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "pop_prev": 1}),
                    Instruction(Opcode.LOAD, {"memory_type": Memory.ACC, "x_size": 2, "y_size": 3, "x_stride": 2,
                                              "x_pad_0": 1}),
                    Instruction(Opcode.GEMM, {"reset": 1, "uop_end": 3, "iter_out": 2, "iter_in": 2}), FINISH]
    _, seen, events = run(TINY, instructions)
    assert_events_are_paired(events, counted(instructions))
    assert seen["control"] == bit("control", "finish")
    assert seen["status"] == bit("status", "tokens_left") and seen["tokens"] == 1  # load to compute
    assert seen["acc_writes"] == 9 + 12 and seen["gemm_steps"] == seen["alu_steps"] == seen["write_beats"] == 0
    assert seen["read_beats"] == 2 * len(instructions) + 3 * 2 * TINY.acc_bytes // 8
    assert seen["fingerprint"] == int(TINY.fingerprint, 16) & 0xFFFFFFFF


SOME = {"x_size": 1, "y_size": 1}
STEP = {"uop_end": 1, "iter_out": 1, "iter_in": 1}
FREE = [(Instruction(Opcode.FINISH), 7, "compute"), (Instruction(Opcode.DEPTHWISE, STEP), Opcode.DEPTHWISE, "compute"),
        (Instruction(Opcode.DEPTHWISE, {**STEP, "taps": TINY.block_in + 1}), Opcode.DEPTHWISE, "compute"),
        (Instruction(Opcode.ALU, {**STEP, "alu_opcode": 7}), Opcode.ALU, "compute"),
        (Instruction(Opcode.LOAD, {"memory_type": Memory.OUT, **SOME}), Opcode.LOAD, "store"),
        (Instruction(Opcode.STORE, {"memory_type": Memory.INP, **SOME}), Opcode.STORE, "store")]


@pytest.mark.parametrize("instruction, opcode, module", FREE)
def test_free_codes_are_skipped_and_told(instruction, opcode, module):
    memory = bytearray(0x4000)
    memory[ADDRESS:ADDRESS + 32] = encode([instruction, FINISH], TINY).tobytes()
    memory[ADDRESS] = memory[ADDRESS] & ~7 | opcode
    seen, events = run_stream(TINY, memory, ADDRESS, 2)
    assert seen["status"] == bit("status", "illegal")
    assert ("end" in {e for _, m, e in events if m == module}) and seen["write_beats"] == seen["acc_writes"] == 0


def test_deadlock_is_told_by_the_watchdog_and_cleared():
    """The store module waits for a token that nobody pushes, and compute for one of the store module's."""
    waiting = [Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "pop_prev": 1, "push_prev": 1}),
               Instruction(Opcode.FINISH, {"pop_next": 1})]
    after = {}

    async def again(ctx, dut):
        await write_register(ctx, dut.s_axil, "control", bit("control", "clear_tokens"))
        await write_register(ctx, dut.s_axil, "insn_address", 0x2000)
        await write_register(ctx, dut.s_axil, "insn_count", 1)
        await write_register(ctx, dut.s_axil, "control", bit("control", "launch"))
        for _ in range(60):
            await ctx.tick()
        after["control"] = await read_register(ctx, dut.s_axil, "control")
        after["status"] = await read_register(ctx, dut.s_axil, "status")

    memory = bytearray(0x4000)
    memory[0x2000:0x2010] = encode([FINISH], TINY).tobytes()
    _, seen, _ = run(TINY, waiting, memory, registers={"watchdog": 50}, then=again)
    assert seen["control"] == 0
    assert seen["status"] == sum(bit("status", n) for n in ("watchdog", "store_waits_prev", "compute_waits_next"))
    assert after == {"control": bit("control", "finish"), "status": 0}


def test_an_error_on_the_bus_is_told():
    _, seen, _ = run(TINY, [Instruction(Opcode.LOAD,
                                        {"memory_type": Memory.UOP, "x_size": 1, "y_size": 1, "dram_base": 0x800}),
                            FINISH], broken=range(0x2000, 0x2008))
    assert seen["status"] == bit("status", "bus_error")


def test_tokens_are_never_lost_when_a_queue_is_full():
    """More pushes than a queue holds, before any pop: the load module waits for room, and goes on as compute pops."""
    count, before = TOKEN_QUEUE_DEPTH + 20, 30  # compute is busy before it pops
    pushes = [Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "push_next": 1})] * count
    pops = [Instruction(Opcode.GEMM, {"pop_prev": 1})] * count
    _, seen, events = run(TINY, [*pushes, *[Instruction(Opcode.GEMM)] * before, *pops, FINISH])
    assert seen["tokens"] == 0 and seen["status"] == 0
    assert_events_are_paired(events, {"load": count, "compute": before + count + 1, "store": 0})
    starts = {m: [c for c, module, e in events if (module, e) == (m, "start")] for m in ("load", "compute")}
    first_pop = starts["compute"][before]  # its token is taken two cycles before it starts
    assert starts["load"][TOKEN_QUEUE_DEPTH - 1] < first_pop <= starts["load"][TOKEN_QUEUE_DEPTH]
