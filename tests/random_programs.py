"""Random legal programs: loads, GEMMs, ALU operations and stores of every kind, chained by tokens so that they are sound.

All instructions stand in one dependence chain through the tokens, or in a pair of loosely coupled halves: enough for
devices to overlap what they can, and still a program with one meaning.
"""

import numpy as np

from weft.isa import ALU_OPS, MEMORIES, Config, Instruction, Memory, Opcode, RawProgram, encode, encode_micro_ops
from weft.isa.check import check
from weft.isa.quantise import MAX_SHIFT, pack_lanes
from weft.isa.table import Module

BASE = 0x1000


class _Writer:
    def __init__(self, config: Config, seed: int):
        self.config, self.rng = config, np.random.default_rng(seed)
        self.instructions: list[dict] = []
        self.depth = {m: min(getattr(config, f"{m}_depth"), 48) for m in ("uop", "inp", "wgt", "acc", "qnt")}
        self.regions = {}  # memory -> (first element, elements) in DRAM
        self.image = bytearray(BASE)

    def below(self, n: int) -> int:
        return int(self.rng.integers(0, n))

    def region(self, memory: Memory, data: np.ndarray):
        bytes_ = MEMORIES[memory].dram_bytes(self.config)
        self.image.extend(bytes(-len(self.image) % bytes_ + bytes_ * self.below(3)))
        self.regions[memory] = (len(self.image) // bytes_, data.nbytes // bytes_)
        self.image.extend(data.tobytes())

    def fill_dram(self):
        c, rng = self.config, self.rng
        n = 24
        spread = lambda depth, size: rng.integers(0, max(1, depth // 2), size)
        self.region(Memory.UOP, encode_micro_ops(spread(self.depth["acc"], n), spread(min(self.depth["acc"], self.depth["inp"], self.depth["qnt"]), n),
                                                 spread(self.depth["wgt"], n), c))
        self.region(Memory.INP, rng.integers(-128, 128, n * c.inp_bytes).astype(np.int8))
        self.region(Memory.WGT, rng.integers(-128, 128, n * c.wgt_bytes).astype(np.int8))
        acc = rng.integers(-(1 << 31), 1 << 31, n * c.acc_bytes // 4).astype(np.int32)
        self.region(Memory.ACC, np.where(rng.random(acc.size) < 0.5, acc, rng.integers(-40, 40, acc.size)).astype(np.int32))
        self.region(Memory.ACC_8BIT, rng.integers(-128, 128, n * c.out_bytes).astype(np.int8))
        lanes = 8 * c.block_out
        bounds = np.sort(rng.integers(-128, 128, (2, lanes)), axis=0)
        self.region(Memory.QNT, pack_lanes(rng.integers(-9999, 9999, lanes), rng.integers(-(1 << 17), 1 << 17, lanes), rng.integers(0, MAX_SHIFT + 1, lanes),
                                           rng.integers(-128, 128, lanes), bounds[0], bounds[1], rng.integers(0, 3, lanes)))
        self.region(Memory.OUT, np.zeros(n * c.out_bytes, np.int8))

    def rows(self, memory: Memory) -> dict:
        """A 2-D block of a region that fits the scratchpad too, padding included."""
        buffer = "acc" if memory == Memory.OUT else MEMORIES[memory].buffer
        first, count = self.regions[memory]
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
        return dict(memory_type=memory, sram_base=self.below(self.depth[buffer] - size + 1), y_size=y, x_size=x, x_stride=stride,
                    dram_base=first + self.below(count - (y - 1) * stride - x + 1), y_pad_0=pads[0], y_pad_1=pads[1], x_pad_0=pads[2], x_pad_1=pads[3])

    def load(self, memory: Memory):
        fields = self.rows(memory)
        if memory in (Memory.INP, Memory.ACC, Memory.ACC_8BIT) and self.below(2):
            return Instruction(Opcode.LOAD_PAD, {**fields, "pad_value": self.below(256) - 128})
        return Instruction(Opcode.LOAD, fields)

    def nest(self, opcode: Opcode) -> dict:
        bgn = self.below(20)
        fields = dict(uop_bgn=bgn, uop_end=bgn + self.below(5), iter_out=self.below(4), iter_in=self.below(5))
        small = {"dst": self.depth["acc"], "src": min(self.depth["acc"], self.depth["inp"], self.depth["qnt"]), "wgt": self.depth["wgt"]}
        for kind in ("dst", "src", "wgt")[:3 if opcode == Opcode.GEMM else 2]:
            for loop in ("out", "in"):  # at most half a buffer beyond the micro-op's own half
                fields[f"{kind}_factor_{loop}"] = self.below(1 + small[kind] // 2 // 8)
        return fields

    def compute(self) -> Instruction:
        if self.below(2):
            return Instruction(Opcode.GEMM, {**self.nest(Opcode.GEMM), "reset": int(self.below(6) == 0)})
        op = ALU_OPS[self.below(len(ALU_OPS))]
        imm = self.below(1 << 16) - (1 << 15) if self.below(2) else self.below(40) - 20
        return Instruction(Opcode.ALU, {**self.nest(Opcode.ALU), "alu_opcode": op.code, "use_imm": int(op.operand == "acc" and self.below(2)), "imm": imm})


def random_program(config: Config, seed: int, length: int = 16) -> RawProgram:
    """A sound program of about `length` working instructions, the same for the same seed."""
    w = _Writer(config, seed)
    w.fill_dram()
    body: list[Instruction] = [Instruction(Opcode.LOAD, {"memory_type": Memory.UOP, "sram_base": 0, "dram_base": w.regions[Memory.UOP][0],
                                                         "y_size": 1, "x_size": 24, "x_stride": 24})]
    for memory in (Memory.INP, Memory.WGT, Memory.ACC, Memory.QNT):
        body.append(w.load(memory))
    for _ in range(length):
        kind = w.below(10)
        if kind < 4:
            body.append(w.load(list(w.regions)[w.below(6)] if kind else Memory.UOP))
        elif kind < 8:
            body.append(w.compute())
        else:
            body.append(Instruction(Opcode.STORE, w.rows(Memory.OUT)))
    body.append(Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "sram_base": 0, "dram_base": w.regions[Memory.OUT][0], "y_size": 1,
                                           "x_size": 24, "x_stride": 24}))
    instructions = _chain(body)
    insns = encode(instructions, config)
    at = -(-len(w.image) // 16) * 16
    image = np.zeros(at + insns.size, np.uint8)
    image[:len(w.image)] = np.frombuffer(bytes(w.image), np.uint8)
    image[at:] = insns.reshape(-1)
    problems = [str(f) for f in check(instructions, config, image[BASE:], BASE)]
    assert not problems, problems  # a generator that makes unsound programs proves nothing
    return RawProgram(f"random_{seed}", config, insns, at, BASE, image[BASE:])


def _chain(body: list[Instruction]) -> list[Instruction]:
    """Tokens wherever one module's instruction follows another's; load and store meet through a compute no-op."""
    nop = Instruction(Opcode.LOAD, {"memory_type": Memory.UOP})
    order: list[Instruction] = []
    for i in body:
        if order and {order[-1].module, i.module} == {Module.LOAD, Module.STORE}:
            order.append(nop)
        order.append(i)
    if order[-1].module != Module.COMPUTE:
        order.append(Instruction(Opcode.FINISH))
    flags: list[dict] = [{} for _ in order]
    for k in range(len(order) - 1):
        a, b = order[k].module, order[k + 1].module
        if a != b:
            flags[k]["push_next" if a < b else "push_prev"] = 1
            flags[k + 1]["pop_prev" if a < b else "pop_next"] = 1
    return [Instruction(i.opcode, {**{k: int(v) for k, v in i.fields.items() if v}, **f}) for i, f in zip(order, flags)]
