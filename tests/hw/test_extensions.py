"""DEPTHWISE and lut on the whole accelerator, in Amaranth's simulator: results and cycles."""

import dataclasses

import numpy as np
import pytest

from tests.hw.bench import assert_events_are_paired, run_stream
from tests.hw.test_top import TINY, counted
from weft.isa import ALU_BY_NAME, Instruction, Memory, Opcode, encode, encode_micro_ops
from weft.sim.functional import FunctionalDevice

TWO_ROWS = dataclasses.replace(TINY, name="2x4x4", batch=2)
WIDE = dataclasses.replace(TINY, name="512 bits", bus_bits=512)
INP, WGT, UOP, ACC, LUT, OUT, STREAM, SIZE = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000
ELEMENTS = 40  # of INP and ACC
TABLES = 2


def load(config, memory, address, count, **fields):
    bytes_ = {Memory.INP: config.inp_bytes, Memory.WGT: config.wgt_bytes, Memory.UOP: 4, Memory.ACC: config.acc_bytes,
              Memory.LUT: config.lut_bytes, Memory.OUT: config.out_bytes}[memory]
    return dict(memory_type=memory, dram_base=address // bytes_, y_size=1, x_size=count, x_stride=count) | fields


def run(config, compute, micro_ops, seed=0):
    """Runs `compute` between loads of random contents and a store of ACC, on hardware and on the functional device; the
    cycles from the end of each instruction of `compute` to the end of the next."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, SIZE, np.uint8)
    kernel = encode_micro_ops(*micro_ops, config).view(np.uint8)
    image[UOP:UOP + kernel.size] = kernel
    load_of = lambda memory, address, count: Instruction(Opcode.LOAD, load(config, memory, address, count))
    program = [load_of(Memory.INP, INP, ELEMENTS), Instruction(Opcode.LOAD, load(config, Memory.WGT, WGT, 4, push_next=1)),
               Instruction(Opcode.LOAD, load(config, Memory.LUT, LUT, TABLES - 1, x_pad_0=1, pop_prev=1)),
               load_of(Memory.ACC, ACC, ELEMENTS), load_of(Memory.UOP, UOP, len(micro_ops[0])), *compute,
               Instruction(Opcode.GEMM, {"push_next": 1}),
               Instruction(Opcode.STORE, load(config, Memory.OUT, OUT, ELEMENTS, pop_prev=1, push_prev=1)),
               Instruction(Opcode.FINISH, {"pop_next": 1})]
    stream = encode(program, config).reshape(-1)
    image[STREAM:STREAM + stream.size] = stream
    device = FunctionalDevice(config, SIZE)
    device.write(0, image)
    device.launch(STREAM, len(program))
    memory = bytearray(image.tobytes())
    seen, events = run_stream(config, memory, STREAM, len(program), rng=rng if seed else None)
    assert seen["status"] == 0
    assert memory == device.read(0, SIZE).tobytes()
    assert_events_are_paired(events, counted(program))
    ends = [cycle for cycle, module, edge in events if (module, edge) == ("compute", "end")]
    return np.diff(ends[3:3 + len(compute)]).tolist()


def depthwise(taps, stride, outputs, rows=1, **fields):
    return Instruction(Opcode.DEPTHWISE, dict(uop_end=1, iter_out=rows, iter_in=outputs, dst_factor_in=1,
                                              src_factor_in=stride, taps=taps) | fields)


ONE = ([1], [2], [3])


@pytest.mark.parametrize("taps", [1, 3, 4])
@pytest.mark.parametrize("stride", [0, 1, 2, 3, 4, 6])
def test_a_row_costs_a_cycle_an_element_that_enters(taps, stride):
    rows = 6  # so that none is through before the next is decoded
    two, five = run(TINY, [depthwise(taps, stride, n, rows) for n in (5, 2, 5)], ONE)
    assert five - two == max(1, min(stride, taps)) * 3 * rows


def test_rows_follow_without_a_gap():
    """Rows of each of two micro-ops, twice: nothing but their windows' first elements is between them; and a cycle between
    instructions."""
    compute = [depthwise(3, 2, 4, rows, uop_end=2, src_factor_out=1, dst_factor_out=8, wgt_factor_out=1)
               for rows in (2, 1, 2)]
    assert run(TINY, compute, ([0, 4], [0, 9], [0, 2])) == [1 + rows * 2 * (3 + 3 * 2) for rows in (1, 2)]


@pytest.mark.parametrize("config, seed", [(TINY, 1), (TWO_ROWS, 2)], ids=str)
def test_sums_are_sequential_among_other_instructions(config, seed):
    """Every output into one element; and a GEMM, a table and a window of fewer taps straight after one another."""
    step = dict(uop_end=2, iter_out=2, iter_in=3)
    lut = Instruction(Opcode.ALU, {**step, "alu_opcode": ALU_BY_NAME["lut"].code, "dst_factor_in": 1})
    compute = [depthwise(4, 1, 5, dst_factor_in=0), Instruction(Opcode.GEMM, {**step, "src_factor_in": 1}),
               depthwise(2, 1, 6), lut,
               depthwise(3, 0, 4, dst_factor_in=0), lut, lut, Instruction(Opcode.GEMM, {**step, "dst_factor_in": 1})]
    run(config, compute, ([1, 2], [0, 1], [3, 1]), seed)


@pytest.mark.parametrize("config", [TINY, TWO_ROWS, WIDE], ids=str)
def test_tables(config):
    """A step a cycle, whatever the table; padding is a table of zeros."""
    lut = {"alu_opcode": ALU_BY_NAME["lut"].code, "dst_factor_in": 1}
    compute = [Instruction(Opcode.ALU, {**lut, "uop_bgn": k, "uop_end": k + 1, "iter_out": 1, "iter_in": n})
               for k, n in ((1, 9), (2, 20), (0, 9))]  # the latter two follow after a cycle
    compute.append(Instruction(Opcode.ALU, {"alu_opcode": ALU_BY_NAME["max"].code, "use_imm": 1, "imm": -7,
                                            "dst_factor_in": 1,
                                            "uop_end": 1, "iter_out": 1, "iter_in": ELEMENTS}))  # what the signs are
    assert run(config, compute, ([0, 2, 12], [0, 1, 1], [0, 0, 0]))[:2] == [1 + 20, 1 + 9]
