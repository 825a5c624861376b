"""What an instruction has to do at least, whatever hardware runs it: steps, beats on the bus, bytes of DRAM."""

from dataclasses import dataclass

from weft.isa import ALU_OPS, MEMORIES, Config, Instruction, Memory, Opcode
from weft.isa.footprint import dram_rows
from weft.isa.table import INSTRUCTION_BYTES


@dataclass(frozen=True)
class Work:
    """kind: 'gemm', 'zero' (GEMM with reset), 'depthwise', 'alu', 'requant', 'load', 'micro-ops' or 'store'; None for what
    moves tokens only. cycles: at one step, beat or element of padding a cycle. read, written: bytes of DRAM.
    """

    kind: str | None = None
    cycles: int = 0
    read: int = 0
    written: int = 0


def work(i: Instruction, config: Config) -> Work:
    """The work of one instruction. DRAM addresses count from bases that are aligned to beats."""
    match i.opcode:
        case Opcode.LOAD | Opcode.LOAD_PAD:
            return _load(i, config) if i.x_size and i.memory_type != Memory.OUT else Work()
        case Opcode.STORE:
            return Work("store", row_beats(i, config), written=_bytes(i, config)) if i.x_size and i.y_size else Work()
        case Opcode.GEMM:
            return Work("zero" if i.reset else "gemm", _steps(i))
        case Opcode.ALU:
            return Work("alu" if ALU_OPS[i.alu_opcode].operand == "acc" else "requant", _steps(i))
        case Opcode.DEPTHWISE:
            return _depthwise(i)
    return Work()


def instruction_beats(address: int, count: int, config: Config) -> int:
    """Beats that fetching `count` instructions from that byte address takes."""
    beat = config.bus_bits // 8
    return -(-(address % beat + count * INSTRUCTION_BYTES) // beat)


def row_beats(i: Instruction, config: Config) -> int:
    """Beats of the rows that a LOAD or STORE moves; a row has its beats for itself."""
    beat, element = config.bus_bits // 8, MEMORIES[Memory(i.memory_type)].dram_bytes(config)
    if element % beat == 0:
        return i.y_size * i.x_size * (element // beat)
    rows = dram_rows(i, config)
    if not rows.size:
        return 0
    period = beat // min(beat, rows.stride & -rows.stride) if rows.stride else 1  # after so many rows they begin alike
    counts = [-(-((rows.start + y * rows.stride) % beat + rows.size) // beat) for y in range(min(period, rows.count))]
    turns, left = divmod(rows.count, period)
    return turns * sum(counts) + sum(counts[:left])


def _bytes(i: Instruction, config: Config) -> int:
    return i.y_size * i.x_size * MEMORIES[Memory(i.memory_type)].dram_bytes(config)


def _load(i: Instruction, config: Config) -> Work:
    size = i.y_size * i.x_size
    padding = (i.y_pad_0 + i.y_size + i.y_pad_1) * (i.x_pad_0 + i.x_size + i.x_pad_1) - size
    kind = "micro-ops" if i.memory_type == Memory.UOP else "load"
    return Work(kind, row_beats(i, config) + padding, read=_bytes(i, config))


def _steps(i: Instruction) -> int:
    return max(0, i.uop_end - i.uop_bgn) * i.iter_out * i.iter_in


def _depthwise(i: Instruction) -> Work:
    """A step for each element that enters a window: all taps of a row's first one, then as many as it moves on."""
    steps = _steps(i)
    if not steps:
        return Work("depthwise")
    moves = min(max(i.src_factor_in, 1), i.taps)
    return Work("depthwise", steps // i.iter_in * (i.taps + (i.iter_in - 1) * moves))
