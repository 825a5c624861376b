"""Which elements an instruction touches: the addresses behind its meaning, with nothing computed."""

from dataclasses import dataclass

import numpy as np

from .config import Config
from .program import Instruction
from .table import ALU_OPS, MEMORIES, Memory, Opcode


@dataclass(frozen=True)
class Rows:
    """`count` rows of `size` bytes, the starts `stride` bytes apart, from byte `start` of the address space."""

    start: int
    count: int
    size: int
    stride: int

    @property
    def end(self) -> int:
        """The byte after the last one; `start` if there is none."""
        return self.start + (self.count - 1) * self.stride + self.size if self.count and self.size else self.start


@dataclass(frozen=True)
class Footprint:
    """reads, writes: elements (int64, unordered, may repeat) by scratchpad; dram_read, dram_written: Rows or None.

    OUT is ACC's shadow: a STORE reads 'acc'.
    """

    reads: dict[str, np.ndarray]
    writes: dict[str, np.ndarray]
    dram_read: Rows | None = None
    dram_written: Rows | None = None


NOTHING = Footprint({}, {})


def dram_rows(i: Instruction, config: Config, base: int = 0) -> Rows:
    """The rows of DRAM that a LOAD or STORE touches."""
    bytes_ = MEMORIES[Memory(i.memory_type)].dram_bytes(config)
    return Rows(base + i.dram_base * bytes_, i.y_size, i.x_size * bytes_, i.x_stride * bytes_)


def sram_size(i: Instruction) -> int:
    """Elements that a LOAD fills, padding included, or that a STORE reads."""
    if not i.x_size:
        return 0
    return (i.y_pad_0 + i.y_size + i.y_pad_1) * (i.x_pad_0 + i.x_size + i.x_pad_1)


def steps(i: Instruction, kernel: tuple[np.ndarray, np.ndarray, np.ndarray], kind: str) -> np.ndarray:
    """For each step of a GEMM, ALU or DEPTHWISE the element of `kind` ('dst', 'src', 'wgt'): int64 [steps], in
    order but for DEPTHWISE, whose micro-ops stand outside of its inner loop.

    kernel: the micro-ops from uop_bgn to uop_end as (dst, src, wgt).
    """
    grid = (np.arange(i.iter_out)[:, None] * getattr(i, f"{kind}_factor_out")
            + np.arange(i.iter_in)[None, :] * getattr(i, f"{kind}_factor_in"))  # DEPTHWISE has no wgt_factor_in: 0
    return (grid[:, :, None] + kernel[("dst", "src", "wgt").index(kind)]).reshape(-1)


def strays(i: Instruction, config: Config, used: Footprint) -> bool:
    """Whether `i` promises to stay within one half of ACC, and touches both."""
    if not i.fields.get("half"):
        return False
    touched = [elements for elements in (used.reads.get("acc"), used.writes.get("acc")) if elements is not None and elements.size]
    halves = {int(element) // (config.acc_depth // 2) for elements in touched for element in (elements.min(), elements.max())}
    return len(halves) > 1


def footprint(i: Instruction, config: Config, kernel=None) -> Footprint:
    """What `i` touches. `kernel`: the micro-ops of a GEMM, ALU or DEPTHWISE, as in `steps`."""
    match i.opcode:
        case Opcode.LOAD | Opcode.LOAD_PAD:
            memory = Memory(i.memory_type)
            if not i.x_size or memory == Memory.OUT:
                return NOTHING
            elements = i.sram_base + np.arange(sram_size(i))
            return Footprint({}, {MEMORIES[memory].buffer: elements}, dram_read=dram_rows(i, config))
        case Opcode.STORE:
            if not i.x_size or not i.y_size:
                return NOTHING
            return Footprint({"acc": i.sram_base + np.arange(sram_size(i))}, {}, dram_written=dram_rows(i, config))
        case Opcode.DEPTHWISE:
            dst, src = steps(i, kernel, "dst"), steps(i, kernel, "src")
            window = (src[:, None] + np.arange(i.taps)).reshape(-1)
            return Footprint({"uop": np.arange(i.uop_bgn, i.uop_end), "inp": window, "wgt": steps(i, kernel, "wgt"), "acc": dst}, {"acc": dst})
        case Opcode.GEMM | Opcode.ALU:
            used = {"uop": np.arange(i.uop_bgn, i.uop_end)}
            dst = steps(i, kernel, "dst")
            if i.opcode == Opcode.GEMM:
                if not i.reset:
                    used |= {"inp": steps(i, kernel, "src"), "wgt": steps(i, kernel, "wgt"), "acc": dst}
            else:
                used["acc"] = dst
                op = ALU_OPS.get(i.alu_opcode)
                if op and op.operand != "acc":
                    used[op.operand] = steps(i, kernel, "src")
                elif not i.use_imm:
                    used["acc"] = np.concatenate([dst, steps(i, kernel, "src")])
            return Footprint(used, {"acc": dst})
    return NOTHING
