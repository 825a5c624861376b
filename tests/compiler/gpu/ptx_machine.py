"""A machine for PTX on NumPy: what the text of a kernel does, instruction by instruction, by the PTX ISA's own words.

All threads of a launch are places in arrays. Those that stand at the earliest instruction go on together; at a barrier they wait
for the others. Accesses must be aligned as the ISA asks, and within their memory. Instructions that LLVM does not use are left out.
"""

import re
from dataclasses import dataclass, field

import numpy as np

GLOBAL = 1 << 16  # address of the first byte of global memory
KINDS = {f"{k}{n}": np.dtype(f"{'i' if k == 's' else 'u'}{n // 8}") for k in "sub" for n in (8, 16, 32, 64)}
KINDS |= {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
COMPARE |= {"lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal}
ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@dataclass
class Kernel:
    """instructions: (guard, opcode, operands); labels: the instruction that each stands before."""

    name: str
    parameters: list[str]
    block: tuple[int, int, int]
    instructions: list[tuple[str, list[str], list[str]]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)
    shared: int = 0
    local: int = 0


def parse(text: str) -> dict[str, Kernel]:
    """The kernels of a PTX text."""
    text = re.sub(r"//[^\n]*", "", text)
    found = {}
    for head in re.finditer(r"\.visible \.entry (\S+?)\((.*?)\)\s*(.*?)\{", text, re.S):
        depth, at = 1, head.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        block = re.search(r"\.maxntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?", head[3])
        sizes = tuple(int(n or 1) for n in block.groups())
        kernel = found[head[1]] = Kernel(head[1], re.findall(r"(\S+_param_\d+)", head[2]), sizes)
        for line in text[head.end():at - 1].replace("\n", " ").split(";"):
            _line(kernel, line.strip())
    return found


def _line(kernel: Kernel, line: str):
    while label := re.match(r"(\$\w+):\s*", line):
        kernel.labels[label[1]] = len(kernel.instructions)
        line = line[label.end():]
    if variable := re.match(r"\.(shared|local) \.align (\d+) \.b8 (\S+?)\[(\d+)\]", line):
        space, align, name, size = variable[1], int(variable[2]), variable[3], int(variable[4])
        begin = -(-getattr(kernel, space) // align) * align
        kernel.symbols[name] = begin
        setattr(kernel, space, begin + size)
    elif line and not line.startswith("."):
        guard, opcode, rest = re.match(r"(?:@(!?%p\d+)\s+)?([\w.:]+)\s*(.*)", line).groups()
        operands = [part.strip() for part in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s{\[][^,]*", rest)]
        kernel.instructions.append((guard or "", opcode.split("."), [o for o in operands if o]))


def launch(kernel: Kernel, grid: tuple[int, int, int], memory: np.ndarray, addresses: list[int]):
    """Runs a kernel on global memory, uint8, whose first byte has the address GLOBAL."""
    _Run(kernel, grid, memory, addresses).run()


class _Run:
    def __init__(self, kernel: Kernel, grid, memory: np.ndarray, addresses: list[int]):
        self.kernel, self.block = kernel, int(np.prod(kernel.block))
        self.count = int(np.prod(grid)) * self.block
        number = np.arange(self.count)
        self.registers: dict[str, np.ndarray] = {}
        for name, sizes, n in (("tid", kernel.block, number % self.block), ("ctaid", grid, number // self.block)):
            for along, size in zip("xyz", sizes):
                self.registers[f"%{name}.{along}"], n = (n % size).astype(np.uint64), n // size
        self.memory = {"global": memory, "shared": np.full(kernel.shared * int(np.prod(grid)), 0x5A, np.uint8),
                       "local": np.full(kernel.local * self.count, 0x5A, np.uint8)}
        self.begins = {"global": np.int64(-GLOBAL), "shared": number // self.block * kernel.shared, "local": number * kernel.local}
        self.sizes = {"global": memory.size + GLOBAL, "shared": kernel.shared, "local": kernel.local}
        self.parameters = dict(zip(kernel.parameters, addresses, strict=True))
        self.at = np.zeros(self.count, np.int64)
        self.waiting, self.gone = np.zeros(self.count, bool), np.zeros(self.count, bool)

    def run(self):
        while not self.gone.all():
            ready = ~self.gone & ~self.waiting
            if not ready.any():
                for block in np.split(np.arange(self.count), self.count // self.block):
                    assert self.gone[block].all() or not self.gone[block].any() and np.ptp(self.at[block]) == 0, "a barrier that some miss"
                self.waiting[:] = False
                continue
            where = int(self.at[ready].min())
            self.step(where, np.flatnonzero(ready & (self.at == where)))

    def step(self, where: int, who: np.ndarray):
        """One instruction for the threads `who`."""
        guard, opcode, operands = self.kernel.instructions[where]
        if guard:
            holds = self.registers[guard.lstrip("!")][who].astype(bool)
            acting = who[~holds if guard.startswith("!") else holds]
        else:
            acting = who
        self.at[who] = where + 1
        if opcode[0] == "bra":
            self.at[acting] = self.kernel.labels[operands[0]]
        elif opcode[0] == "ret":
            self.gone[acting] = True
        elif opcode[0] in ("bar", "barrier"):
            self.waiting[acting] = True
        elif acting.size:
            self.who = acting
            with np.errstate(all="ignore"):
                getattr(self, opcode[0])(opcode, operands)

    # Operands

    def get(self, operand: str, kind: str) -> np.ndarray:
        """Its value for each thread, of that type."""
        dtype = np.dtype(bool) if kind == "pred" else KINDS[kind]
        if operand.startswith("%"):
            # one that nothing was written to holds anything
            raw = self.registers[operand][self.who] if operand in self.registers else np.full(self.who.shape, 0x5A5A5A5A5A5A5A5A, np.uint64)
            return raw.astype(bool) if kind == "pred" else raw.astype(f"u{dtype.itemsize}").view(dtype)
        if operand[:2] in ("0f", "0d"):
            value = np.array(int(operand[2:], 16), "u4" if operand[1] == "f" else "u8").view(dtype)
        elif operand in self.kernel.symbols:
            value = np.array(self.kernel.symbols[operand])
        else:
            value = np.array(int(operand.rstrip("U"), 0) & (1 << 8 * dtype.itemsize) - 1, f"u{dtype.itemsize}").view(dtype)
        return np.broadcast_to(value.astype(dtype), self.who.shape)

    def put(self, register: str, value: np.ndarray):
        whole = self.registers.setdefault(register, np.zeros(self.count, np.uint64))
        value = np.ascontiguousarray(np.broadcast_to(value, self.who.shape))
        whole[self.who] = value if value.dtype == bool else value.view(f"u{value.dtype.itemsize}")

    @staticmethod
    def several(operand: str) -> list[str]:
        return [part.strip() for part in operand.strip("{}").split(",")]

    # Memory

    def places(self, operand: str, space: str, size: int) -> np.ndarray:
        name, _, more = operand.strip("[]").partition("+")
        address = self.get(name, "s64") + int(more or 0)
        assert not (address % size).any(), f"{operand}: {size} bytes at {address[address % size != 0][0]}"
        assert (address >= 0).all() and (address + size <= self.sizes[space]).all(), f"{operand}: outside of {space} memory"
        begin = self.begins[space]
        return (address + (begin if np.ndim(begin) == 0 else begin[self.who]))[:, None] + np.arange(size)

    def ld(self, opcode, operands):
        if opcode[1] == "param":
            return self.put(operands[0], np.uint64(self.parameters[operands[1].strip("[]")]))
        dtype, targets = KINDS[opcode[-1]], self.several(operands[0])
        found = self.memory[opcode[1]][self.places(operands[1], opcode[1], dtype.itemsize * len(targets))].view(dtype)
        for k, target in enumerate(targets):
            self.put(target, found[:, k].copy())
        return None

    def st(self, opcode, operands):
        dtype, sources = KINDS[opcode[-1]], self.several(operands[1])
        places = self.places(operands[0], opcode[1], dtype.itemsize * len(sources))
        values = np.stack([self.get(source, opcode[-1]) for source in sources], 1)
        self.memory[opcode[1]][places] = np.ascontiguousarray(values).view(np.uint8)

    # Arithmetic

    def two(self, function):
        def instruction(opcode, operands):
            a, b = (self.get(o, opcode[-1]) for o in operands[1:])
            self.put(operands[0], function(a, b).astype(a.dtype))
        return instruction

    def __getattr__(self, name):
        functions = {"add": np.add, "sub": np.subtract, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
                     "xor": np.bitwise_xor, "copysign": lambda a, b: np.copysign(b, a),
                     "div": lambda a, b: a / b if a.dtype.kind == "f" else np.trunc(a / b),
                     "rem": np.fmod}
        ones = {"abs": np.abs, "neg": np.negative, "not": np.invert, "sqrt": np.sqrt}
        if name in functions:
            return self.two(functions[name])
        if name in ones:
            return lambda opcode, operands: self.put(operands[0], ones[name](self.get(operands[1], opcode[-1])))
        raise AttributeError(f"no instruction {name}")

    def mul(self, opcode, operands):
        kind = opcode[-1]
        a, b = (self.get(o, kind) for o in operands[1:])
        if kind.startswith("f"):
            return self.put(operands[0], a * b)
        return self.put(operands[0], self._part(opcode[1], a, b, 0))

    def mad(self, opcode, operands):
        a, b = (self.get(o, opcode[-1]) for o in operands[1:3])
        wide = opcode[-1][0] + str(8 * a.dtype.itemsize * (2 if opcode[1] == "wide" else 1))
        self.put(operands[0], self._part(opcode[1], a, b, self.get(operands[3], wide)))

    @staticmethod
    def _part(part: str, a, b, c):
        size = a.dtype.itemsize
        if part == "lo":
            return a * b + (c if np.ndim(c) else a.dtype.type(0))
        assert size <= 4
        wide = a.astype(f"{a.dtype.kind}{2 * size}") * b.astype(f"{a.dtype.kind}{2 * size}")
        return (wide >> (8 * size)).astype(a.dtype) if part == "hi" else wide + (c if np.ndim(c) else wide.dtype.type(0))

    def fma(self, opcode, operands):
        """Of float32 rounded once: 64 bits hold the product of what requantisation multiplies, and its sum, exactly."""
        a, b, c = (self.get(o, opcode[-1]) for o in operands[1:])
        self.put(operands[0], (a.astype(np.longdouble) * b.astype(np.longdouble) + c.astype(np.longdouble)).astype(a.dtype))

    def shl(self, opcode, operands):
        a, by, bits = self.get(operands[1], opcode[-1]), self.get(operands[2], "u32"), 8 * KINDS[opcode[-1]].itemsize
        self.put(operands[0], np.where(by < bits, a << np.minimum(by, bits - 1).astype(a.dtype), 0).astype(a.dtype))

    def shr(self, opcode, operands):
        a, by, bits = self.get(operands[1], opcode[-1]), self.get(operands[2], "u32"), 8 * KINDS[opcode[-1]].itemsize
        beyond = np.where(a < 0, -1, 0) if a.dtype.kind == "i" else 0
        self.put(operands[0], np.where(by < bits, a >> np.minimum(by, bits - 1).astype(a.dtype), beyond).astype(a.dtype))

    def bfe(self, opcode, operands):
        a, at, size = (self.get(o, "u32") for o in operands[1:])
        assert opcode[-1] == "u32" and (at + size <= 32).all()
        self.put(operands[0], ((a.astype(np.uint64) >> at) & ((np.uint64(1) << size) - np.uint64(1))).astype(np.uint32))

    def prmt(self, opcode, operands):
        """Four bytes out of eight; with bit 3 of a choice, the byte's sign in all of its bits."""
        a, b, choice = (self.get(o, "b32") for o in operands[1:])
        both = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
        found = np.zeros_like(both)
        for k in range(4):
            pick = (choice.astype(np.uint64) >> np.uint64(4 * k)) & np.uint64(15)
            byte = (both >> ((pick & np.uint64(7)) * np.uint64(8))) & np.uint64(255)
            byte = np.where(pick >= 8, np.where(byte >= 128, np.uint64(255), np.uint64(0)), byte)
            found |= byte << np.uint64(8 * k)
        self.put(operands[0], found.astype(np.uint32))

    def setp(self, opcode, operands):
        a, b = (self.get(o, opcode[-1]) for o in operands[1:])
        holds = COMPARE[opcode[1].removesuffix("u") if opcode[-1].startswith("f") else opcode[1]](a, b)
        if opcode[-1].startswith("f") and opcode[1].endswith("u"):
            holds |= np.isnan(a) | np.isnan(b)
        self.put(operands[0], holds)

    def selp(self, opcode, operands):
        a, b = (self.get(o, opcode[-1]) for o in operands[1:3])
        self.put(operands[0], np.where(self.get(operands[3], "pred"), a, b).astype(a.dtype))

    def mov(self, opcode, operands):
        if not operands[0].startswith("{") and not operands[1].startswith("{"):
            return self.put(operands[0], self.get(operands[1], opcode[-1]))
        whole, parts = KINDS[opcode[-1]], self.several(operands[0] if operands[0].startswith("{") else operands[1])
        kind = f"u{whole.itemsize * 8 // len(parts)}"
        if operands[0].startswith("{"):
            found = self.get(operands[1], opcode[-1])[:, None].view(KINDS[kind])
            for k, part in enumerate(parts):
                if part != "_":
                    self.put(part, found[:, k].copy())
            return None
        joined = np.ascontiguousarray(np.stack([self.get(part, kind) for part in parts], 1)).view(whole)
        return self.put(operands[0], joined[:, 0].copy())

    def cvta(self, opcode, operands):
        self.mov(["mov", "b64"], operands)

    def cvt(self, opcode, operands):
        to, source = KINDS[opcode[-2]], self.get(operands[1], opcode[-1])
        rule = next((ROUND[part] for part in opcode if part in ROUND), None)
        if rule is not None:
            source = rule(source)
        if source.dtype.kind == "f" and to.kind in "iu":
            info = np.iinfo(to)
            source = np.where(np.isnan(source), 0, np.clip(source, float(info.min), float(info.max)))
            self.put(operands[0], np.where(source >= float(info.max), info.max, source.astype(np.int64)).astype(to))
        else:
            wide = source.astype(to)
            # a register of 16 or 32 bits holds a narrow result with its sign
            self.put(operands[0], wide.astype(f"{to.kind}4") if to.kind in "iu" and to.itemsize < 4 else wide)

    # Products of bytes

    def dp4a(self, opcode, operands):
        a, b = (np.ascontiguousarray(self.get(o, "b32"))[:, None].view(np.int8 if kind == "s32" else np.uint8).astype(np.int64)
                for o, kind in zip(operands[1:], opcode[1:]))
        self.put(operands[0], (self.get(operands[3], "s32") + (a * b).sum(1)).astype(np.int32))

    def mma(self, opcode, operands):
        """m16n8k32: g = lane / 4 and t = lane % 4 say what a lane holds. a: rows g and g + 8, columns 4 t and 16 + 4 t on; b: rows
        4 t and 16 + 4 t on, column g; c and d: rows g and g + 8, columns 2 t and 2 t + 1."""
        assert opcode[1:6] == ["sync", "aligned", "m16n8k32", "row", "col"] and opcode[6] == opcode[9] == "s32"
        warps = self.who.reshape(-1, 32)
        assert (warps % 32 == np.arange(32)).all(), "all threads of a warp come to an mma"
        kinds = [np.int8 if kind == "s8" else np.uint8 for kind in opcode[7:9]]
        a, b = (np.stack([np.ascontiguousarray(self.get(o, "b32").reshape(-1, 32, 1)).view(kind) for o in self.several(operand)], 2)
                for operand, kind in zip(operands[1:3], kinds))
        left, right = np.zeros((len(warps), 16, 32), np.int64), np.zeros((len(warps), 32, 8), np.int64)
        sums = np.stack([self.get(o, "s32").reshape(-1, 32) for o in self.several(operands[3])], 2).astype(np.int64)
        for lane in range(32):
            g, t = divmod(lane, 4)
            for k in range(4):
                left[:, g + 8 * (k % 2), 16 * (k // 2) + 4 * t:][:, :4] = a[:, lane, k]
            for k in range(2):
                right[:, 16 * k + 4 * t:16 * k + 4 * t + 4, g] = b[:, lane, k]
        made = left @ right
        for k, target in enumerate(self.several(operands[0])):
            g, t = np.divmod(np.arange(32), 4)
            self.put(target, (sums[:, :, k] + made[:, g + 8 * (k // 2), 2 * t + k % 2]).astype(np.int32).reshape(-1))
