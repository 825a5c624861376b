"""Random sound programs: loads, GEMMs, ALU operations and stores of every kind.

Tokens are derived as the compiler does, no more than are needed, so that devices overlap whatever they may.
"""

import numpy as np

from weft.compiler.tokens import DramBlock, Operation, derive
from weft.isa import ALU_OPS, MEMORIES, Config, Instruction, Memory, Opcode, RawProgram, decode_micro_ops, encode, encode_micro_ops
from weft.isa.check import check
from weft.isa.footprint import footprint, strays
from weft.isa.quantise import MAX_SHIFT, pack_lanes
from weft.isa.table import MAX_TAPS

BASE = 0x1000


class _Writer:
    def __init__(self, config: Config, seed: int):
        self.config, self.rng = config, np.random.default_rng(seed)
        self.instructions: list[dict] = []
        self.depth = {m: min(getattr(config, f"{m}_depth"), 48) for m in ("uop", "inp", "wgt", "acc", "qnt", "lut")}
        self.upper = config.acc_depth // 2  # where the upper half of ACC begins; what is used of each are its first elements
        self.regions = {}  # memory -> (first element, elements) in DRAM
        self.image = bytearray(BASE)

    def below(self, n: int) -> int:
        return int(self.rng.integers(0, n))

    def region(self, memory: Memory, data: np.ndarray):
        bytes_ = MEMORIES[memory].dram_bytes(self.config)
        self.image.extend(bytes(-len(self.image) % bytes_ + bytes_ * self.below(3)))
        self.regions[memory] = (len(self.image) // bytes_, data.nbytes // bytes_)
        self.image.extend(data.tobytes())
        self.image.extend(bytes(-len(self.image) % 4))

    def fill_dram(self):
        c, rng = self.config, self.rng
        n = 24
        spread = lambda depth, size: rng.integers(0, max(1, depth // 2), size)
        src = spread(min(self.depth["acc"], self.depth["inp"], self.depth["qnt"]), n)
        src[::4] %= self.depth["lut"]
        dst = spread(self.depth["acc"], n) + np.arange(n) // 4 % 2 * self.upper
        self.region(Memory.UOP, encode_micro_ops(dst, src, spread(self.depth["wgt"], n), c))
        self.region(Memory.INP, rng.integers(-128, 128, n * c.inp_bytes).astype(np.int8))
        self.region(Memory.WGT, rng.integers(-128, 128, n * c.wgt_bytes).astype(np.int8))
        acc = rng.integers(-(1 << 31), 1 << 31, n * c.acc_bytes // 4).astype(np.int32)
        self.region(Memory.ACC, np.where(rng.random(acc.size) < 0.5, acc, rng.integers(-40, 40, acc.size)).astype(np.int32))
        self.region(Memory.ACC_8BIT, rng.integers(-128, 128, n * c.out_bytes).astype(np.int8))
        lanes = 8 * c.block_out
        bounds = np.sort(rng.integers(-128, 128, (2, lanes)), axis=0)
        self.region(Memory.QNT, pack_lanes(rng.integers(-9999, 9999, lanes), rng.integers(-(1 << 17), 1 << 17, lanes), rng.integers(0, MAX_SHIFT + 1, lanes),
                                           rng.integers(-128, 128, lanes), bounds[0], bounds[1], rng.integers(0, 3, lanes)))
        self.region(Memory.LUT, rng.integers(-128, 128, min(c.lut_depth, 3) * c.lut_bytes).astype(np.int8))
        self.region(Memory.OUT, np.zeros(2 * n * c.out_bytes, np.int8))

    def rows(self, memory: Memory) -> dict:
        """A 2-D block of a region that fits the scratchpad too, padding included."""
        buffer = "acc" if memory == Memory.OUT else MEMORIES[memory].buffer
        from_out = memory in (Memory.INP, Memory.ACC_8BIT) and not self.below(3)  # what an earlier store wrote
        first, count = self.regions[Memory.OUT if from_out else memory]
        pads = [self.below(3) if memory != Memory.OUT and self.below(3) == 0 else 0 for _ in range(4)]
        x, y = 1 + self.below(5), 1 + self.below(3)
        stride = x + self.below(3)
        while (y - 1) * stride + x > count:
            y -= 1
        size = (y + pads[0] + pads[1]) * (x + pads[2] + pads[3])
        if size > self.depth[buffer]:
            pads, size = [0] * 4, y * x
        if size > self.depth[buffer]:
            x = y = size = 1
        half = self.upper * self.below(2) if buffer == "acc" and self.upper >= self.depth["acc"] else 0
        return dict(memory_type=memory, sram_base=half + self.below(self.depth[buffer] - size + 1), y_size=y, x_size=x, x_stride=stride,
                    dram_base=first + self.below(count - (y - 1) * stride - x + 1), y_pad_0=pads[0], y_pad_1=pads[1], x_pad_0=pads[2], x_pad_1=pads[3])

    def load(self, memory: Memory):
        fields = self.rows(memory)
        if memory == Memory.UOP:  # micro-op 0 stays: its src is a table
            fields["sram_base"] = 1 + self.below(8)
        if memory in (Memory.INP, Memory.ACC, Memory.ACC_8BIT) and self.below(2):
            return Instruction(Opcode.LOAD_PAD, {**fields, "pad_value": self.below(256) - 128})
        return Instruction(Opcode.LOAD, fields)

    def nest(self, opcode: Opcode) -> dict:
        bgn = self.below(20)
        fields = dict(uop_bgn=bgn, uop_end=bgn + self.below(5), iter_out=self.below(4), iter_in=self.below(5), half=1)
        small = {"dst": self.depth["acc"], "src": min(self.depth["acc"], self.depth["inp"], self.depth["qnt"]), "wgt": self.depth["wgt"]}
        for kind in ("dst", "src", "wgt")[:2 if opcode == Opcode.ALU else 3]:
            for loop in ("out", "in"):  # at most half a buffer beyond the micro-op's own half
                fields[f"{kind}_factor_{loop}"] = self.below(1 + small[kind] // 2 // 8)
        return fields

    def compute(self) -> Instruction:
        if not self.below(4):
            taps, fields = 1 + self.below(min(self.config.block_in, MAX_TAPS)), self.nest(Opcode.DEPTHWISE)
            del fields["wgt_factor_in"]
            return Instruction(Opcode.DEPTHWISE, {**fields, "taps": taps})
        if self.below(2):
            return Instruction(Opcode.GEMM, {**self.nest(Opcode.GEMM), "reset": int(self.below(6) == 0)})
        op = ALU_OPS[self.below(len(ALU_OPS))]
        nest = self.nest(Opcode.ALU)
        if op.operand == "lut":  # tables are few: every step takes one of them, and micro-ops whose src is none are left out
            nest |= {"src_factor_out": 0, "src_factor_in": 0, "uop_bgn": 0, "uop_end": 1}
        imm = self.below(1 << 16) - (1 << 15) if self.below(2) else self.below(40) - 20
        return Instruction(Opcode.ALU, {**nest, "alu_opcode": op.code, "use_imm": int(op.operand == "acc" and self.below(2)), "imm": imm})


def random_program(config: Config, seed: int, length: int = 16) -> RawProgram:
    """A sound program of about `length` working instructions, the same for the same seed."""
    w = _Writer(config, seed)
    w.fill_dram()
    body: list[Instruction] = [Instruction(Opcode.LOAD, {"memory_type": Memory.UOP, "sram_base": 0, "dram_base": w.regions[Memory.UOP][0],
                                                         "y_size": 1, "x_size": 24, "x_stride": 24})]
    for memory in (Memory.INP, Memory.WGT, Memory.ACC, Memory.QNT, Memory.LUT):
        body.append(w.load(memory))
    for _ in range(length):
        kind = w.below(10)
        if kind < 4:
            body.append(w.load(list(w.regions)[w.below(7)] if kind else Memory.UOP))
        elif kind < 8:
            body.append(w.compute())
        else:
            body.append(Instruction(Opcode.STORE, w.rows(Memory.OUT)))
    for half in (0, 1):
        body.append(Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "sram_base": half * w.upper, "y_size": 1, "x_size": 24,
                                               "x_stride": 24, "dram_base": w.regions[Memory.OUT][0] + 24 * half}))
    instructions = _with_tokens(body, np.frombuffer(bytes(w.image), np.uint32), config)
    insns = encode(instructions, config)
    at = -(-len(w.image) // 16) * 16
    image = np.zeros(at + insns.size, np.uint8)
    image[:len(w.image)] = np.frombuffer(bytes(w.image), np.uint8)
    image[at:] = insns.reshape(-1)
    problems = [str(f) for f in check(instructions, config, image[BASE:], BASE)]
    assert not problems, problems  # a generator that makes unsound programs proves nothing
    return RawProgram(f"random_{seed}", config, insns, at, BASE, image[BASE:])


def _with_tokens(body: list[Instruction], micro_ops: np.ndarray, config: Config) -> list[Instruction]:
    """As few tokens as are needed, so that the modules overlap wherever they may; FINISH at the end."""
    loaded = np.zeros(config.uop_depth, np.uint32)
    operations = []
    for i in body:
        if i.opcode in (Opcode.LOAD, Opcode.LOAD_PAD) and i.memory_type == Memory.UOP:
            block = np.zeros((i.y_pad_0 + i.y_size + i.y_pad_1, i.x_pad_0 + i.x_size + i.x_pad_1), np.uint32)
            for y in range(i.y_size):
                start = i.dram_base + y * i.x_stride
                block[i.y_pad_0 + y, i.x_pad_0:i.x_pad_0 + i.x_size] = micro_ops[start:start + i.x_size]
            loaded[i.sram_base:i.sram_base + block.size] = block.reshape(-1)
        kernel = decode_micro_ops(loaded[i.uop_bgn:i.uop_end], config)
        if i.fields.get("half") and strays(i, config, footprint(i, config, kernel)):
            del i.fields["half"]
        used = footprint(i, config, kernel)
        ranges = [tuple((name, int(e.min()), int(e.max()) + 1) for name, e in touched.items() if e.size and name not in ("uop", "qnt"))
                  for touched in (used.reads, used.writes)]
        rows = used.dram_read or used.dram_written
        block = DramBlock(rows.start, rows.count, rows.size, rows.stride) if rows and rows.count else None
        operations.append(Operation(i.opcode, {k: int(v) for k, v in i.fields.items() if v}, i.module, 0, *ranges, block))
    return [Instruction(o.opcode, o.fields) for o in derive(operations, config)]
