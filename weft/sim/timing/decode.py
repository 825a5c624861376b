"""A stream of instructions as an array of `state.INSTRUCTION`, all at once: networks have a hundred thousand of them."""

import dataclasses

import numpy as np

from weft.isa import ALU_BY_NAME, ALU_OPS, MEMORIES, Config, Memory, Module, Opcode
from weft.isa.fields import Field
from weft.isa.table import MAX_TAPS, layouts
from weft.runtime.device import Bases

from .state import ALONE, ALU, INSTRUCTION, LOWER, MOVE, MOVES, MULTIPLY, NOTHING, PARAMETERS, STEPS, UPPER

SIZE_BITS = 12  # of a LOAD's rows and columns, as weft/hw/decode.py compares them with the halves of ACC
PARAMETRIC, SLOW = (tuple(ALU_BY_NAME[name].code for name in names) for names in (("requant", "lut"), ("shr", "mul")))


class Words:
    """The fields of all instructions, read as if each had that opcode: int64 [n]."""

    def __init__(self, stream: np.ndarray, config: Config):
        self.halves = np.ascontiguousarray(stream).reshape(-1, 16).view("<u8")
        self.layouts = layouts(config)

    def __call__(self, opcode: Opcode, name: str) -> np.ndarray:
        field: Field = self.layouts[opcode].fields[name]
        half, shift = divmod(field.offset, 64)
        values = (self.halves[:, half] >> np.uint64(shift) & np.uint64((1 << field.width) - 1)).astype(np.int64)
        return np.where(values >> field.width - 1, values - (1 << field.width), values) if field.signed else values


def decode_records(stream: np.ndarray, config: Config, bases: Bases) -> np.ndarray:
    """INSTRUCTION [n] of a stream, uint8 [16 * n]; what each is to the machine's timing."""
    words = Words(stream, config)
    insns = np.zeros(len(words.halves), INSTRUCTION)
    opcode = words(Opcode.GEMM, "opcode")
    moves = np.isin(opcode, (Opcode.LOAD, Opcode.LOAD_PAD, Opcode.STORE))
    memory = words(Opcode.LOAD, "memory_type")
    insns["module"] = _modules(opcode, memory)
    for name in ("pop_prev", "pop_next", "push_prev", "push_next"):
        insns[name] = words(Opcode.GEMM, name)
    for module, sides in ((Module.LOAD, ("pop_prev", "push_prev")), (Module.STORE, ("pop_next", "push_next"))):
        for name in sides:  # load has no neighbour before it, store none behind
            insns[name][insns["module"] == module] = 0
    insns["finish"] = opcode == Opcode.FINISH
    _memory(insns, words, config, bases, opcode, memory, moves)
    _steps(insns, words, opcode, config)
    _engines(insns, words, opcode, memory, config)
    return insns


def _modules(opcode: np.ndarray, memory: np.ndarray) -> np.ndarray:
    by_memory = np.array([MEMORIES[m].module for m in Memory])
    loads = (opcode == Opcode.LOAD) | (opcode == Opcode.LOAD_PAD)
    return np.where(loads, by_memory[memory], np.where(opcode == Opcode.STORE, Module.STORE, Module.COMPUTE))


def _memory(insns: np.ndarray, words: Words, config: Config, bases: Bases, opcode, memory, moves):
    for name in ("x_size", "y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1"):
        insns[name] = words(Opcode.LOAD, name)
    y_size, x_size = words(Opcode.LOAD, "y_size"), insns["x_size"]
    insns["rows"] = np.where(x_size == 0, 0, y_size)
    insns["width"] = insns["x_pad_0"] + x_size + insns["x_pad_1"]
    insns["height"] = insns["y_pad_0"] + y_size + insns["y_pad_1"]
    insns["empty"] = (x_size == 0) | (insns["height"] == 0)
    insns["sram"] = words(Opcode.LOAD, "sram_base")
    has_value = opcode == Opcode.LOAD_PAD
    insns["pad_value"] = np.where(has_value, words(Opcode.LOAD_PAD, "pad_value"), 0)
    dram_base = np.where(has_value, words(Opcode.LOAD_PAD, "dram_base"), words(Opcode.LOAD, "dram_base"))
    base_of, beat = dataclasses.asdict(bases), config.bus_bits // 8
    for kind, info in MEMORIES.items():
        mine, size = moves & (memory == kind), info.dram_bytes(config)
        insns["address"][mine] = (base_of[info.buffer] + dram_base[mine] * size) & 0xFFFFFFFF
        insns["stride"][mine] = words(Opcode.LOAD, "x_stride")[mine] * size
        insns["parts"][mine], insns["slots"][mine] = max(1, size // beat), max(1, beat // size)
        insns["element_bits"][mine] = size.bit_length() - 1
        insns["deep"][mine], insns["is_uop"][mine] = kind == Memory.LUT, kind == Memory.UOP
    store = opcode == Opcode.STORE
    insns["work"] = np.where(moves & ~store & ((insns["module"] == Module.LOAD) | (x_size != 0)), MOVES, NOTHING)
    insns["work"][store & (memory == Memory.OUT)] = MOVES


def _steps(insns: np.ndarray, words: Words, opcode: np.ndarray, config: Config):
    """Cycles in which GEMM, DEPTHWISE and ALU issue, and what ALU's destinations are made of."""
    for name in ("uop_bgn", "uop_end", "iter_out", "iter_in"):
        insns[name] = words(Opcode.GEMM, name)
    count = np.maximum(insns["uop_end"] - insns["uop_bgn"], 0)
    steps = insns["iter_out"] * insns["iter_in"] * count
    taps, stride = words(Opcode.DEPTHWISE, "taps"), words(Opcode.DEPTHWISE, "src_factor_in")
    slides = np.where(stride == 0, 1, np.minimum(stride, taps))
    windows = insns["iter_out"] * count * (taps + (insns["iter_in"] - 1) * slides)
    alu_opcode = words(Opcode.ALU, "alu_opcode")
    known_alu = (opcode == Opcode.ALU) & np.isin(alu_opcode, list(ALU_OPS))
    known_taps = (opcode == Opcode.DEPTHWISE) & (taps > 0) & (taps <= min(MAX_TAPS, config.block_in))
    works = (steps > 0) & ((opcode == Opcode.GEMM) | known_taps | known_alu)
    insns["steps"] = np.where(works, np.where(known_taps, windows, steps), 0)
    insns["long"] = works & known_alu & np.isin(alu_opcode, PARAMETRIC + SLOW)
    insns["reads_src"] = works & known_alu & np.isin(alu_opcode, SLOW) & (words(Opcode.ALU, "use_imm") == 0)
    for index in ("dst", "src"):
        for way in ("out", "in"):
            insns[f"{index}_{way}"] = words(Opcode.ALU, f"{index}_factor_{way}")
    insns["work"][works] = STEPS


def _engines(insns: np.ndarray, words: Words, opcode: np.ndarray, memory: np.ndarray, config: Config):
    """Which engine of compute an instruction needs, and what it uses beside it."""
    steps, moves = insns["work"] == STEPS, (insns["work"] == MOVES) & (insns["module"] == Module.COMPUTE)
    operates = (opcode == Opcode.ALU) | (opcode == Opcode.GEMM) & (words(Opcode.GEMM, "reset") == 1)
    insns["engine"] = np.where(moves, MOVE, np.where(steps, np.where(operates, ALU, MULTIPLY), ALONE))
    insns["several"] = (insns["height"] != 1) | (insns["y_pad_0"] != 0) | (insns["y_pad_1"] != 0)
    insns["confined"] = steps & (words(Opcode.GEMM, "half") == 1)
    parametric = (opcode == Opcode.ALU) & np.isin(words(Opcode.ALU, "alu_opcode"), PARAMETRIC)
    uses = np.where(steps, PARAMETERS * parametric + np.where(insns["confined"], 0, LOWER | UPPER), 0)
    mask, half = (1 << SIZE_BITS) - 1, config.acc_depth // 2
    large = (insns["height"] > mask) | (insns["width"] > mask)
    end = insns["sram"] + (insns["height"] & mask) * (insns["width"] & mask)
    fills = moves & np.isin(memory, (Memory.ACC, Memory.ACC_8BIT))
    uses |= np.where(fills, LOWER * (insns["sram"] < half) + UPPER * (large | (end > half)), 0)
    insns["uses"] = uses | np.where(moves & np.isin(memory, (Memory.QNT, Memory.LUT)), PARAMETERS, 0)
