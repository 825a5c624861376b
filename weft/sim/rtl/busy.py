"""A program that keeps the machine busy as a convolution does: what speed is measured with, and what builds are trained on.

While a GEMM works on one half of the buffers, the next tile's inputs and weights are loaded into the other half; every
tile's result is stored. `python -m weft.sim.rtl.busy LIBRARY` runs it once on a library, for the compiler to see what runs.
"""

import json
import sys
from pathlib import Path

import numpy as np

from weft.isa import Config, Instruction, Memory, Opcode, encode, encode_micro_ops
from weft.runtime.device import LaunchReport

from .device import RtlDevice

ROWS = 16  # elements of INP, and of ACC, in a tile
INP_AT, WGT_AT, UOP_AT, OUT_AT, INSN_AT = 0x000000, 0x100000, 0x200000, 0x300000, 0x400000
DRAM_SIZE = 1 << 24


def program(config: Config, tiles: int) -> tuple[list[Instruction], np.ndarray]:
    """(instructions, micro-ops) of `tiles` products of a ROWS x (depth * block) by a (depth * block) x block matrix."""
    depth = min(config.inp_depth, 1024) // 2 // ROWS  # reduction steps of a tile: half of INP for each of two tiles
    depth = min(depth, config.wgt_depth // 2)
    micro_ops = encode_micro_ops(np.tile(np.arange(ROWS), 2), np.concatenate([half * depth * ROWS + np.arange(ROWS) * depth
                                 for half in (0, 1)]), np.repeat([0, depth], ROWS), config)
    load = [Instruction(Opcode.LOAD, _rows(config, Memory.UOP, UOP_AT, 0, 2 * ROWS))]
    reset = {"uop_bgn": 0, "uop_end": ROWS, "iter_out": 1, "iter_in": 1, "reset": 1}
    for tile in range(tiles):
        half, first = tile % 2, tile < 2
        load += [
            Instruction(Opcode.LOAD, _rows(config, Memory.INP, INP_AT, half * depth * ROWS, depth * ROWS) | {"pop_next": int(not first)}),
            Instruction(Opcode.LOAD, _rows(config, Memory.WGT, WGT_AT, half * depth, depth) | {"push_next": 1}),
            Instruction(Opcode.GEMM, {**reset, "pop_prev": 1, "pop_next": int(tile > 0)}),
            Instruction(Opcode.GEMM, {"uop_bgn": half * ROWS, "uop_end": (half + 1) * ROWS, "iter_out": 8, "iter_in": depth,
                                      "src_factor_in": 1, "wgt_factor_in": 1, "push_prev": int(tile < tiles - 2), "push_next": 1}),
            Instruction(Opcode.STORE, _rows(config, Memory.OUT, OUT_AT + tile % 16 * ROWS * config.out_bytes, 0, ROWS)
                        | {"pop_prev": 1, "push_prev": 1}),
        ]
    return [*load, Instruction(Opcode.FINISH, {"pop_next": 1})], micro_ops


def _rows(config: Config, memory: Memory, address: int, sram: int, count: int) -> dict[str, int]:
    size = {Memory.UOP: config.uop_bytes, Memory.INP: config.inp_bytes, Memory.WGT: config.wgt_bytes, Memory.OUT: config.out_bytes}
    return {"memory_type": memory, "sram_base": sram, "dram_base": address // size[memory], "y_size": 1, "x_size": count,
            "x_stride": count}


def launch(device: RtlDevice, tiles: int) -> LaunchReport:
    """Runs `tiles` tiles on random data; the device has at least DRAM_SIZE bytes."""
    instructions, micro_ops = program(device.config, tiles)
    stream = encode(instructions, device.config)
    device.write(0, np.random.default_rng(0).integers(0, 256, UOP_AT, np.uint8))
    device.write(UOP_AT, micro_ops)
    device.write(INSN_AT, stream)
    return device.launch(INSN_AT, len(stream))


if __name__ == "__main__":
    launch(RtlDevice(Config.from_dict(json.loads(sys.argv[2])), DRAM_SIZE, library=Path(sys.argv[1])), tiles=24)
