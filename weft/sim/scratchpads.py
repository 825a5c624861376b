"""What every instruction does to the scratchpads, in plain NumPy: the reference that faster engines are tested against.

The meaning is strictly sequential (a step sees what the step before wrote). Steps that cannot see one another are done
in one NumPy call; that is an optimisation only, and `sequential=True` leaves it out.
"""

import numpy as np

from weft.isa import ALU_OPS, MEMORIES, Config, Instruction, Memory, Opcode, WeftError, decode_micro_ops
from weft.isa.footprint import dram_rows, footprint, sram_size, steps, strays
from weft.isa.quantise import QNT_LANE, requantise, unpack_lanes
from weft.isa.table import MAX_TAPS
from weft.runtime.device import Bases

CACHE_LINE = 64
EXACT_PRODUCTS = 1 << 10  # int8 products that float32 sums exactly: 2**10 * 2**14 <= 2**24


class Lanes:
    """The second operand of requant: QNT lanes [..., block_out] beside acc elements [..., batch, block_out]."""

    def __init__(self, lanes: np.ndarray):
        self._arguments = {k: v[..., None, :] for k, v in unpack_lanes(lanes).items()}

    def requantise(self, acc: np.ndarray) -> np.ndarray:
        return requantise(acc, **self._arguments)


class Tables:
    """The second operand of lut: tables [..., 256] beside acc elements [..., batch, block_out]."""

    def __init__(self, tables: np.ndarray):
        self._tables = tables

    def look_up(self, acc: np.ndarray) -> np.ndarray:
        entries = (acc & 255).reshape(*acc.shape[:-2], -1)
        return np.take_along_axis(self._tables, entries, -1).reshape(acc.shape).astype(np.int32)


OPERANDS = {"qnt": Lanes, "lut": Tables}


def aligned(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros, from an address that is a multiple of a cache line: vectors of machine code are slower from elsewhere."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    return room[start:start + size].view(dtype).reshape(shape)


class Scratchpads:
    """INP, WGT, ACC, UOP, QNT and LUT. OUT holds nothing of its own: it is always the low bits of ACC."""

    def __init__(self, config: Config, sequential: bool = False):
        self.config, self.sequential = config, sequential
        self.uop = aligned((config.uop_depth,), np.uint32)
        self.inp = aligned((config.inp_depth, config.batch, config.block_in), np.int8)
        self.wgt = aligned((config.wgt_depth, config.block_out, config.block_in), np.int8)
        self.acc = aligned((config.acc_depth, config.batch, config.block_out), np.int32)
        self.qnt = aligned((config.qnt_depth, config.block_out), QNT_LANE)
        self.lut = aligned((config.lut_depth, config.lut_bytes), np.int8)
        self.counters = {"gemm_steps": 0, "alu_steps": 0, "acc_writes": 0, "read_bytes": 0, "write_bytes": 0}

    def execute(self, index: int, i: Instruction, dram: np.ndarray, bases: Bases):
        """Runs instruction `i` (the `index`-th of its stream, for messages) on the scratchpads and DRAM (uint8)."""
        match i.opcode:
            case Opcode.LOAD | Opcode.LOAD_PAD:
                self._load(index, i, dram, bases)
            case Opcode.STORE:
                self._store(index, i, dram, bases)
            case Opcode.GEMM:
                self._gemm(index, i)
            case Opcode.DEPTHWISE:
                self._depthwise(index, i)
            case Opcode.ALU:
                self._alu(index, i)

    # LOAD and STORE

    def _rows(self, index: int, i: Instruction, dram: np.ndarray, base: int, writeable: bool) -> np.ndarray:
        """The rows of DRAM as uint8 [y_size, bytes of a row], a view."""
        rows = dram_rows(i, self.config, base)
        if rows.end > dram.size:
            raise WeftError(f"instruction {index} ({i.opcode.name} {Memory(i.memory_type).name})", "an access must lie within DRAM",
                            f"bytes {rows.start:#x} to {rows.end - 1:#x} of {dram.size:#x}",
                            "a device with more dram_size, or other base addresses")
        return np.lib.stride_tricks.as_strided(dram[rows.start:rows.end], (rows.count, rows.size), (rows.stride, 1), writeable=writeable)

    def _check(self, index: int, i: Instruction, name: str, low: int, high: int):
        depth = getattr(self.config, f"{name}_depth")
        if low < 0 or high >= depth:
            raise WeftError(f"instruction {index} ({i.opcode.name})", f"an address of {name} must be below {depth}", str(high),
                            "`weft check` on the program")

    def _load(self, index: int, i: Instruction, dram: np.ndarray, bases: Bases):
        if i.x_size == 0:
            return
        memory = Memory(i.memory_type)
        if memory == Memory.OUT:
            return
        info = MEMORIES[memory]
        rows = self._rows(index, i, dram, getattr(bases, info.buffer), False)
        height, width = i.y_pad_0 + i.y_size + i.y_pad_1, i.x_pad_0 + i.x_size + i.x_pad_1
        if not height * width:
            return
        self._check(index, i, info.buffer, i.sram_base, i.sram_base + height * width - 1)
        target = getattr(self, info.buffer)[i.sram_base:i.sram_base + height * width]
        block = target.reshape(height, width, *target.shape[1:])
        inside = block[i.y_pad_0:i.y_pad_0 + i.y_size, i.x_pad_0:i.x_pad_0 + i.x_size]
        if height * width != i.y_size * i.x_size:
            block.view(np.int8 if info.lane_bits == 8 else np.int32)[...] = i.pad_value
        dtype = np.int8 if memory == Memory.ACC_8BIT else target.dtype
        inside[...] = np.ascontiguousarray(rows).view(dtype).reshape(inside.shape)
        self.counters["read_bytes"] += rows.size
        self.counters["acc_writes"] += height * width if info.buffer == "acc" else 0

    def _store(self, index: int, i: Instruction, dram: np.ndarray, bases: Bases):
        if i.x_size == 0 or i.y_size == 0:
            return
        if i.memory_type != Memory.OUT or i.y_pad_0 or i.y_pad_1 or i.x_pad_0 or i.x_pad_1:
            raise WeftError(f"instruction {index} (STORE)", "it is of OUT, and its pads are 0", f"{Memory(i.memory_type).name}, pads "
                            f"{i.y_pad_0}, {i.y_pad_1}, {i.x_pad_0}, {i.x_pad_1}", "`weft check` on the program")
        self._check(index, i, "acc", i.sram_base, i.sram_base + sram_size(i) - 1)
        out = self.acc[i.sram_base:i.sram_base + sram_size(i)].astype(np.int8)  # OUT: the low bits
        source = out.view(np.uint8).reshape(i.y_size, -1)
        rows = self._rows(index, i, dram, bases.out, True)
        if i.x_stride >= i.x_size:
            rows[...] = source
        else:  # rows overlap: the later one wins
            for y in range(i.y_size):
                rows[y] = source[y]
        self.counters["write_bytes"] += source.size

    # GEMM and ALU

    def _micro_ops(self, index: int, i: Instruction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self._check(index, i, "uop", i.uop_bgn, max(i.uop_bgn, i.uop_end - 1))
        kernel = decode_micro_ops(self.uop[i.uop_bgn:i.uop_end], self.config)
        if i.fields.get("half") and strays(i, self.config, footprint(i, self.config, kernel)):
            raise WeftError(f"instruction {index} ({i.opcode.name})", "`half` promises that it stays within one half of acc",
                            "elements of both", "`weft check` on the program")
        return kernel

    def _gemm(self, index: int, i: Instruction):
        kernel = self._micro_ops(index, i)
        d, s, w = (steps(i, kernel, kind) for kind in ("dst", "src", "wgt"))
        if not d.size:
            return
        self._check(index, i, "acc", d.min(), d.max())
        self.counters["acc_writes"] += d.size
        if i.reset:
            self.acc[d] = 0
            return
        self._check(index, i, "inp", s.min(), s.max())
        self._check(index, i, "wgt", w.min(), w.max())
        self.counters["gemm_steps"] += d.size
        if self.sequential:
            for dst, src, wgt in zip(d, s, w):
                self.acc[dst] += self.inp[src].astype(np.int32) @ self.wgt[wgt].astype(np.int32).T
        else:
            self._gemm_at_once(i, kernel)

    def _gemm_at_once(self, i: Instruction, kernel: tuple[np.ndarray, ...]):
        """Steps that share a weight are one matrix product; sums commute in int32."""
        kernel = np.stack(kernel)  # [3, n]: dst, src, wgt
        grid = np.zeros((2, 1), np.int64)  # [2, positions]: dst, src of the loops in which the weight stays
        for loop in ("in", "out"):
            trips = np.arange(getattr(i, f"iter_{loop}"))
            factors = np.array([getattr(i, f"{kind}_factor_{loop}") for kind in ("dst", "src", "wgt")])[:, None]
            if factors[2, 0]:
                kernel = (kernel[:, None, :] + (factors * trips)[:, :, None]).reshape(3, -1)
            else:
                grid = (grid[:, None, :] + (factors[:2] * trips)[:, :, None]).reshape(2, -1)
        order = np.argsort(kernel[0], kind="stable")
        kernel = kernel[:, order]
        positions = grid[0]
        distinct = np.unique(positions).size == positions.size
        for part in np.split(np.arange(order.size), np.flatnonzero(np.diff(kernel[0])) + 1):
            total = self._products(kernel[1, part], kernel[2, part], grid[1])
            elements = kernel[0, part[0]] + positions
            if distinct:
                self.acc[elements] += total
            else:
                np.add.at(self.acc, elements, total)

    def _products(self, src: np.ndarray, wgt: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """sum over k of inp[src[k] + offsets] @ wgt[wgt[k]].T as int32 [offsets, batch, block_out]."""
        c = self.config
        total = np.zeros((offsets.size, c.batch, c.block_out), np.int32)
        step = max(1, EXACT_PRODUCTS // c.block_in)
        for k in range(0, src.size, step):
            a = self.inp[offsets[:, None] + src[None, k:k + step]].astype(np.float32)  # [positions, k, batch, block_in]
            b = self.wgt[wgt[k:k + step]].astype(np.float32)  # [k, block_out, block_in]
            a = a.transpose(0, 2, 1, 3).reshape(offsets.size * c.batch, -1)
            total += (a @ b.transpose(0, 2, 1).reshape(-1, c.block_out)).astype(np.int32).reshape(total.shape)
        return total

    def _depthwise(self, index: int, i: Instruction):
        kernel = self._micro_ops(index, i)
        d, s, w = (steps(i, kernel, kind) for kind in ("dst", "src", "wgt"))
        if not d.size:
            return
        most = min(self.config.block_in, MAX_TAPS)
        if not 1 <= i.taps <= most:
            raise WeftError(f"instruction {index} (DEPTHWISE)", f"taps are from 1 to {most}", str(i.taps), "`weft check` on the program")
        self._check(index, i, "acc", d.min(), d.max())
        self._check(index, i, "inp", s.min(), s.max() + i.taps - 1)
        self._check(index, i, "wgt", w.min(), w.max())
        self.counters["gemm_steps"] += d.size
        self.counters["acc_writes"] += d.size
        for part in (np.array([k]) for k in range(d.size)) if self.sequential else [np.arange(d.size)]:
            window = self.inp[s[part, None] + np.arange(i.taps)].astype(np.int32)  # [steps, taps, batch, channel]
            weight = self.wgt[w[part], :, :i.taps].astype(np.int32)  # [steps, channel, taps]
            np.add.at(self.acc, d[part], np.einsum("stnc,sct->snc", window, weight))

    def _alu(self, index: int, i: Instruction):
        kernel = self._micro_ops(index, i)
        d, s = (steps(i, kernel, kind) for kind in ("dst", "src"))
        if not d.size:
            return
        self._check(index, i, "acc", d.min(), d.max())
        op = ALU_OPS.get(i.alu_opcode)
        if op is None:
            raise WeftError(f"instruction {index} (ALU)", f"an alu_opcode is one of {', '.join(map(str, ALU_OPS))}",
                            str(i.alu_opcode), "a program made for this version of the instruction set")
        uses_acc = op.operand == "acc" and not i.use_imm
        if op.operand != "acc" or uses_acc:
            self._check(index, i, op.operand, s.min(), s.max())
        self.counters["alu_steps"] += d.size
        self.counters["acc_writes"] += d.size
        for part in self._rounds(d, s if uses_acc else None):
            x = self.acc[d[part]]
            if op.operand != "acc":
                y = OPERANDS[op.operand](getattr(self, op.operand)[s[part]])
            else:
                y = self.acc[s[part]] if uses_acc else np.int32(i.imm)
            self.acc[d[part]] = op.meaning(x, y)

    def _rounds(self, d: np.ndarray, s: np.ndarray | None):
        """Index arrays that, one after the other, do all steps, such that none sees another of its own round."""
        if self.sequential:
            return (np.array([k]) for k in range(d.size))
        writes = np.bincount(d, minlength=self.config.acc_depth)
        if writes.max() == 1 and (s is None or not self._reads_written(d, s)):
            return [np.arange(d.size)]
        if s is not None and writes[s].any():
            return (np.array([k]) for k in range(d.size))
        order = np.argsort(d, kind="stable")  # the n-th write of each element goes into round n
        first = np.flatnonzero(np.r_[True, np.diff(d[order]) != 0])
        rank = np.arange(d.size) - np.repeat(first, np.diff(np.r_[first, d.size]))
        by_rank = order[np.argsort(rank, kind="stable")]
        return np.split(by_rank, np.cumsum(np.bincount(rank))[:-1])

    def _reads_written(self, d: np.ndarray, s: np.ndarray) -> bool:
        """Whether a step reads what an earlier step of the same instruction wrote (each element is written once)."""
        written_at = np.full(self.config.acc_depth, d.size)
        written_at[d] = np.arange(d.size)
        return bool((written_at[s] < np.arange(d.size)).any())
