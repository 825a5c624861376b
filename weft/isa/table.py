"""The one table of the instruction set: shape, bits, meaning and text of every instruction, side by side.

Encoder, decoder, assembler, checker, the functional device, the compiler's tensor instructions, the hardware's layouts,
the C header and docs/isa.md are derived from it. The base set is binary compatible with VTA (HW_VER 0.0.2);
extensions use free codes only and each is told by a bit of the capability word.

Meanings of ALU operations are NumPy expressions on int32: the functional device evaluates them, and the compiler traces
the same functions with symbolic arguments to find code equal to them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from .config import Config
from .errors import WeftError
from .fields import Field, Layout

INSTRUCTION_BITS = 128
MAX_TAPS = 16  # of DEPTHWISE: a window wider than the block, or than this, is none
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
VERSION = 0x00010000  # of the register map and the extensions together: major << 16 | minor


class Module(IntEnum):
    """The three modules that run instructions beside one another."""

    LOAD, COMPUTE, STORE = 0, 1, 2


class Opcode(IntEnum):
    LOAD, STORE, GEMM, FINISH, ALU, LOAD_PAD, DEPTHWISE = 0, 1, 2, 3, 4, 5, 6


class Memory(IntEnum):
    """memory_type of LOAD and STORE."""

    UOP, WGT, INP, ACC, OUT, ACC_8BIT, QNT, LUT = 0, 1, 2, 3, 4, 5, 6, 7


class Capability(IntEnum):
    """Bits of the capability word. 0 in all of them is plain VTA."""

    REQUANTISE, LOAD_PAD, LUT, DEPTHWISE, HALVES = 0, 1, 2, 3, 4


CAPABILITIES = sum(1 << c for c in Capability)


@dataclass(frozen=True)
class MemoryInfo:
    """What LOAD and STORE know of a memory. `buffer` is the scratchpad's name: ACC_8BIT is a second way into ACC."""

    buffer: str
    module: Module
    lane_bits: int  # what one lane of a padded element is filled with: the pad value, sign-extended to this width
    dram_bytes: Callable[[Config], int]
    doc: str


MEMORIES = {
    Memory.UOP: MemoryInfo("uop", Module.COMPUTE, 32, lambda c: c.uop_bytes, "micro-ops"),
    Memory.WGT: MemoryInfo("wgt", Module.LOAD, 8, lambda c: c.wgt_bytes, "weights, one row per output channel"),
    Memory.INP: MemoryInfo("inp", Module.LOAD, 8, lambda c: c.inp_bytes, "GEMM's activations"),
    Memory.ACC: MemoryInfo("acc", Module.COMPUTE, 32, lambda c: c.acc_bytes, "accumulators, int32"),
    Memory.OUT: MemoryInfo("out", Module.STORE, 8, lambda c: c.out_bytes, "the narrowed shadow of ACC; STORE only"),
    Memory.ACC_8BIT: MemoryInfo("acc", Module.COMPUTE, 32, lambda c: c.out_bytes, "int8 from DRAM, sign-extended into ACC"),
    Memory.QNT: MemoryInfo("qnt", Module.COMPUTE, 32, lambda c: c.qnt_bytes, "requantisation parameters of block_out channels"),
    Memory.LUT: MemoryInfo("lut", Module.COMPUTE, 8, lambda c: c.lut_bytes, "tables of 256 int8"),
}


@dataclass(frozen=True)
class AluOp:
    """One ALU operation, a lane of int32 at a time. `x` is acc[dst]; `y` is the immediate or acc[src].

    An operation whose second operand is `qnt` takes lane c of qnt[src] for output channel c, one whose second operand is
    `lut` takes table lut[src] for all lanes; both ignore use_imm.
    """

    code: int
    name: str
    meaning: Callable
    doc: str
    operand: str = "acc"
    capability: Capability | None = None


def shift_right(x, y):
    """x / 2**y towards minus infinity for any y of int32, wrapped to int32: a left shift where y is negative."""
    if hasattr(x, "shift_right"):  # a symbolic x
        return x.shift_right(y)
    x, y = np.asarray(x, np.int64), np.asarray(y, np.int64)
    left = np.where(y < -31, 0, x << np.clip(-y, 0, 31))
    return np.where(y >= 0, x >> np.clip(y, 0, 31), left).astype(np.int32)


ALU_OPS = {op.code: op for op in (
    AluOp(0, "min", lambda x, y: np.minimum(x, y), "the smaller, signed"),
    AluOp(1, "max", lambda x, y: np.maximum(x, y), "the larger, signed"),
    AluOp(2, "add", lambda x, y: x + y, "the sum; wraps"),
    AluOp(3, "shr", shift_right, "x shifted right by y, arithmetic; left by -y where y < 0; any y"),
    AluOp(4, "mul", lambda x, y: x * y, "the product; wraps"),
    AluOp(5, "requant", lambda x, y: y.requantise(x),
          "clip(round((x + bias) * multiplier / 2**shift) + zero_point, minimum, maximum)", "qnt", Capability.REQUANTISE),
    AluOp(6, "lut", lambda x, y: y.look_up(x), "entry x & 255 of the table, sign-extended: any function of an int8", "lut", Capability.LUT),
)}
ALU_BY_NAME = {op.name: op for op in ALU_OPS.values()}


@dataclass(frozen=True)
class Bits:
    """A declared field: `width` is a number, or the name of a Config depth whose logarithm it is, with bits to add."""

    name: str | None
    width: int | str
    extra: int = 0
    signed: bool = False
    doc: str = ""


HEADER = (
    Bits("opcode", 3),
    Bits("pop_prev", 1, doc="wait for a token of the module before"),
    Bits("pop_next", 1, doc="wait for a token of the module behind"),
    Bits("push_prev", 1, doc="give a token to the module before when done"),
    Bits("push_next", 1, doc="give a token to the module behind when done"),
)
SECOND_WORD = Bits("", 64)  # what follows begins at bit 64


def _memory_fields(dram_bits: int, *after_dram: Bits) -> tuple[Bits, ...]:
    return (
        *HEADER,
        Bits("memory_type", 3, doc="which memory"),
        Bits("sram_base", 16, doc="first element of the scratchpad"),
        Bits("dram_base", dram_bits, doc="first element of DRAM, from the memory's base register"),
        *after_dram,
        SECOND_WORD,
        Bits("y_size", 16, doc="rows"),
        Bits("x_size", 16, doc="elements in a row; 0: nothing happens, tokens move"),
        Bits("x_stride", 16, doc="elements between the starts of two rows in DRAM"),
        Bits("y_pad_0", 4, doc="rows of padding above"),
        Bits("y_pad_1", 4, doc="rows of padding below"),
        Bits("x_pad_0", 4, doc="elements of padding on the left of a row"),
        Bits("x_pad_1", 4, doc="elements of padding on the right of a row"),
    )


_LOOPS = (
    Bits("uop_bgn", "uop_depth", doc="first micro-op"),
    Bits("uop_end", "uop_depth", 1, doc="the one after the last"),
    Bits("iter_out", 14, doc="steps of the outer loop"),
    Bits("iter_in", 14, doc="steps of the inner loop"),
    Bits("half", 1, doc="a promise: all its elements of ACC lie in the half of ACC that the first step's dst is in"),
    SECOND_WORD,
    Bits("dst_factor_out", "acc_depth", doc="added to dst for each step of the outer loop"),
    Bits("dst_factor_in", "acc_depth", doc="and of the inner loop"),
)

# Text: a word, `key={field}` or `{field}`; what stands in brackets is left out where its fields are 0.
_PLACE = "{memory_type} sram={sram_base} dram={dram_base} y={y_size} x={x_size} stride={x_stride}"
_PADS = "[pad={y_pad_0},{y_pad_1},{x_pad_0},{x_pad_1}]"
_NEST = ("uop={uop_bgn}:{uop_end} iter={iter_out},{iter_in} dst={dst_factor_out},{dst_factor_in} "
         "src={src_factor_out},{src_factor_in}")

MICRO_OP = (
    Bits("dst", "acc_depth", doc="element of ACC"),
    Bits("src", "src_depth", doc="element of INP for GEMM and DEPTHWISE; of ACC, QNT or LUT for ALU"),
    Bits("wgt", "wgt_depth", doc="element of WGT, for GEMM and DEPTHWISE"),
)


@dataclass(frozen=True)
class InstructionInfo:
    """Shape (fields), bits (their order), meaning and text of one instruction."""

    opcode: Opcode
    fields: tuple[Bits, ...]
    meaning: str  # Python over the scratchpads as arrays of elements; shown in the manual
    text: str  # the assembler's, both ways; the header's flags follow as bare words
    doc: str
    capability: Capability | None = None


INSTRUCTIONS = {i.opcode: i for i in (
    InstructionInfo(
        Opcode.LOAD, _memory_fields(32, Bits(None, 6)),
        "rows = pad(dram[dram_base + y*x_stride : ... + x_size] for y in range(y_size))\n"
        "buffer[sram_base : sram_base + rows.size] = rows",
        f"load {_PLACE} {_PADS}",
        "Fills a dense block of (y_pad_0 + y_size + y_pad_1) rows of (x_pad_0 + x_size + x_pad_1) elements; padding is 0."),
    InstructionInfo(
        Opcode.STORE, _memory_fields(32, Bits(None, 6)),
        "for y in range(y_size): dram[dram_base + y*x_stride : ... + x_size] = out[sram_base + y*x_size : ... + x_size]",
        f"store {_PLACE} {_PADS}",
        "Writes y_size x x_size consecutive elements of OUT to rows that lie x_stride apart; its pads are 0."),
    InstructionInfo(
        Opcode.GEMM,
        (*HEADER, Bits("reset", 1, doc="write 0 instead of the sum"), *_LOOPS,
         Bits("src_factor_out", "inp_depth"), Bits("src_factor_in", "inp_depth"),
         Bits("wgt_factor_out", "wgt_depth"), Bits("wgt_factor_in", "wgt_depth")),
        "for y in range(iter_out):\n  for x in range(iter_in):\n    for k in range(uop_bgn, uop_end):\n"
        "      d, s, w = (uop[k] + y*factor_out + x*factor_in of dst, src, wgt)\n"
        "      acc[d] = 0 if reset else acc[d] + inp[s] @ wgt[w].T",
        f"gemm {_NEST} wgt={{wgt_factor_out}},{{wgt_factor_in}} [half] [reset]",
        "Matrix products, one step a micro-op, summed in int32 that wraps. Strictly sequential meaning."),
    InstructionInfo(Opcode.FINISH, HEADER, "done = True", "finish", "Raises done when the compute module reaches it."),
    InstructionInfo(
        Opcode.ALU,
        (*HEADER, Bits(None, 1), *_LOOPS,
         Bits("src_factor_out", "acc_depth"), Bits("src_factor_in", "acc_depth"),
         Bits("alu_opcode", 3), Bits("use_imm", 1), Bits("imm", 16, signed=True, doc="the second operand, if use_imm")),
        "for y in range(iter_out):\n  for x in range(iter_in):\n    for k in range(uop_bgn, uop_end):\n"
        "      d, s = (uop[k] + y*factor_out + x*factor_in of dst, src)\n"
        "      acc[d] = op(acc[d], qnt[s] if op is requant else lut[s] if op is lut else imm if use_imm else acc[s])",
        f"alu {{alu_opcode}} {_NEST} [half] [use_imm] [imm={{imm}}]",
        "One operation on whole elements, a step a micro-op. Strictly sequential meaning."),
    InstructionInfo(
        Opcode.LOAD_PAD, _memory_fields(30, Bits("pad_value", 8, signed=True, doc="what the padding is filled with")),
        "as LOAD, with every lane of the padding equal to pad_value",
        f"load_pad {_PLACE} value={{pad_value}} {_PADS}",
        "LOAD of INP, ACC or ACC_8BIT whose padding is not 0: the zero point of a tensor, or a maximum's neutral element.",
        Capability.LOAD_PAD),
    InstructionInfo(
        Opcode.DEPTHWISE,
        (*HEADER, Bits(None, 1), *_LOOPS,
         Bits("src_factor_out", "inp_depth"), Bits("src_factor_in", "inp_depth", doc="the stride of the convolution"),
         Bits("wgt_factor_out", "wgt_depth"), Bits("taps", 5, doc="elements of INP in a window, at most block_in and 16")),
        "for y in range(iter_out):\n  for k in range(uop_bgn, uop_end):\n    for x in range(iter_in):\n"
        "      d, s, w = (uop[k] + y*factor_out + x*factor_in of dst, src, wgt; w without x)\n"
        "      acc[d][n][c] += sum(inp[s + t][n][c] * wgt[w][c][t] for t in range(taps))",
        f"depthwise {_NEST} wgt={{wgt_factor_out}} taps={{taps}} [half]",
        "A row of a depthwise convolution for each micro-op: lane c of a window of `taps` consecutive elements of INP with row c of a\n"
        "weight. The window slides along x, so that each element of INP is read once.",
        Capability.DEPTHWISE),
)}
PADDABLE = (Memory.INP, Memory.ACC, Memory.ACC_8BIT)  # what LOAD_PAD means something for; others fill lanes alike


def _width(bits: Bits, config: Config) -> int:
    if isinstance(bits.width, int):
        return bits.width
    depth = (max(config.inp_depth, config.acc_depth) if bits.width == "src_depth" else getattr(config, bits.width))
    return (depth - 1).bit_length() + bits.extra


def _layout(name: str, size: int, declared: tuple[Bits, ...], config: Config) -> Layout:
    fields, offset = [], 0
    for bits in declared:
        if bits is SECOND_WORD:
            if offset > 64:
                raise _does_not_fit(config, f"the first word of {name} must fit 64 bits", offset)
            offset = 64
            continue
        width = _width(bits, config)
        if bits.name is not None:
            fields.append(Field(bits.name, offset, width, bits.signed))
        offset += width
    if offset > size:
        raise _does_not_fit(config, f"{name} must fit {size} bits", offset)
    return Layout(name, size, fields)


def _does_not_fit(config: Config, rule: str, bits: int) -> WeftError:
    return WeftError(f"config '{config.name}'", rule, f"{bits} bits", "shallower buffers: the widths of indices follow their depths")


@lru_cache
def layouts(config: Config) -> dict[Opcode, Layout]:
    """The bit layout of every instruction for this machine."""
    return {op: _layout(op.name, INSTRUCTION_BITS, info.fields, config) for op, info in INSTRUCTIONS.items()}


@lru_cache
def micro_op_layout(config: Config) -> Layout:
    """The bit layout of a micro-op for this machine."""
    return _layout("micro-op", 32, MICRO_OP, config)


def check_config(config: Config):
    """WeftError where a depth needs more bits than its field has."""
    layouts(config)
    micro_op_layout(config)
    for kind in ("uop", "inp", "wgt", "acc", "qnt", "lut"):
        if getattr(config, f"{kind}_depth") > 1 << 16:
            raise WeftError(f"config '{config.name}'", "sram_base has 16 bits", f"{kind} depth {getattr(config, f'{kind}_depth')}",
                            f"a smaller {kind}_buffer")
    if config.qnt_depth > min(config.acc_depth, config.inp_depth):
        raise WeftError(f"config '{config.name}'", "qnt is addressed through fields as wide as acc's and inp's depth",
                        f"{config.qnt_depth} elements", "a smaller qnt_buffer")


def module_of(opcode: int, memory_type: int = Memory.UOP) -> Module:
    """The module that runs an instruction."""
    if opcode == Opcode.STORE:
        return Module.STORE
    if opcode in (Opcode.LOAD, Opcode.LOAD_PAD):
        return MEMORIES[Memory(memory_type)].module
    return Module.COMPUTE
