"""A program that keeps the machine busy as a convolution does: what speed is measured with, and what builds are trained on.

While a GEMM works on one half of the buffers, the next tile's inputs and weights are loaded into the other half; every
tile's result is stored. `python -m weft.sim.rtl.busy LIBRARY` runs it once on a library, for the compiler to see what runs, and
likewise with the ALU at work on each result beside the products of the next tile.
"""

import json
import sys
from pathlib import Path

import numpy as np

from weft.isa import Config, Instruction, Memory, Opcode, encode, encode_micro_ops
from weft.isa.table import ALU_BY_NAME
from weft.runtime.device import LaunchReport

from .device import RtlDevice

ROWS = 16  # elements of INP, and of ACC, in a tile
INP_AT, WGT_AT, UOP_AT, OUT_AT, INSN_AT = 0x000000, 0x100000, 0x200000, 0x300000, 0x400000
DRAM_SIZE = 1 << 24


def program(config: Config, tiles: int, alu: bool = False) -> tuple[list[Instruction], np.ndarray]:
    """(instructions, micro-ops) of `tiles` products of a ROWS x (depth * block) by a (depth * block) x block matrix.

    tiles: at least two. alu: before it is stored, the ALU takes as many steps on each result as its products took, while the next
    tile's run in the other half of ACC.
    """
    depth = min(config.inp_depth, 1024) // 2 // ROWS  # reduction steps of a tile: half of INP for each of two tiles
    depth = min(depth, config.wgt_depth // 2)
    halves = np.arange(2)[:, None]
    dst = halves * (config.acc_depth // 2 if alu else 0) + np.arange(ROWS)
    src = halves * depth * ROWS + np.arange(ROWS) * depth
    micro_ops = encode_micro_ops(dst.reshape(-1), src.reshape(-1), np.repeat([0, depth], ROWS), config)
    made = [Instruction(Opcode.LOAD, _rows(config, Memory.UOP, UOP_AT, 0, 2 * ROWS))]
    ended: list[Instruction] = []  # what is left to do for the tile before
    for tile in range(tiles):
        half = tile % 2
        kernel = {"uop_bgn": half * ROWS, "uop_end": (half + 1) * ROWS, "half": int(alu)}
        nest = {**kernel, "iter_out": 8, "iter_in": depth}
        result = _rows(config, Memory.OUT, OUT_AT + tile % 16 * ROWS * config.out_bytes, int(dst[half, 0]), ROWS)
        store = Instruction(Opcode.STORE, {**result, "pop_prev": 1, "push_prev": 1})
        stored = tile > 1 if alu else tile > 0  # what lay where the result will be
        made += [
            Instruction(Opcode.LOAD, _rows(config, Memory.INP, INP_AT, half * depth * ROWS, depth * ROWS)
                        | {"pop_next": int(tile > 1)}),
            Instruction(Opcode.LOAD, _rows(config, Memory.WGT, WGT_AT, half * depth, depth) | {"push_next": 1}),
            Instruction(Opcode.GEMM, {**kernel, "iter_out": 1, "iter_in": 1, "reset": 1, "pop_prev": 1, "pop_next": int(stored)}),
            Instruction(Opcode.GEMM, {**nest, "src_factor_in": 1, "wgt_factor_in": 1, "push_prev": int(tile < tiles - 2),
                                      "push_next": int(not alu)}),
        ]
        if alu:
            last = tile == tiles - 1  # no reset is left to take the token of the store before
            relu = Instruction(Opcode.ALU, {**nest, "alu_opcode": ALU_BY_NAME["max"].code, "use_imm": 1, "push_next": 1,
                                            "pop_next": int(last)})
            made += ended
            ended = [relu, store]
        else:
            made.append(store)
    made += ended
    return [*made, Instruction(Opcode.FINISH, {"pop_next": 1})], micro_ops


def _rows(config: Config, memory: Memory, address: int, sram: int, count: int) -> dict[str, int]:
    size = {Memory.UOP: config.uop_bytes, Memory.INP: config.inp_bytes, Memory.WGT: config.wgt_bytes, Memory.OUT: config.out_bytes}
    return {"memory_type": memory, "sram_base": sram, "dram_base": address // size[memory], "y_size": 1, "x_size": count,
            "x_stride": count}


def launch(device: RtlDevice, tiles: int, alu: bool = False) -> LaunchReport:
    """Runs `tiles` tiles on random data; the device has at least DRAM_SIZE bytes. alu: as of `program`."""
    instructions, micro_ops = program(device.config, tiles, alu)
    stream = encode(instructions, device.config)
    device.write(0, np.random.default_rng(0).integers(0, 256, UOP_AT, np.uint8))
    device.write(UOP_AT, micro_ops)
    device.write(INSN_AT, stream)
    return device.launch(INSN_AT, len(stream))


if __name__ == "__main__":
    trained = RtlDevice(Config.from_dict(json.loads(sys.argv[2])), DRAM_SIZE, library=Path(sys.argv[1]))
    for with_alu in (False, True):
        launch(trained, 24, with_alu)
