"""Emission of one loop program: the loops outside of the leaves are walked, each leaf becomes operations."""

from collections.abc import Callable, Mapping

from weft.isa import Config, Opcode, WeftError
from weft.isa.table import MEMORIES, Memory, module_of

from .expr import Binary, Const, Expr, Var, affine
from .micro_ops import KINDS, Kernel, Limits, Loop, fold, free_order
from .passes import Operand, PlacedAlloc, TensorInstr
from .passes import dma
from .stmt import Buffer, For, LoopProgram, Seq, Stmt
from .tokens import DramBlock, Operation
from .uop_buffer import Call

Env = list[int]  # values of the loop variables, by slot
Path = tuple[int, ...]
Emitter = Callable[[Env, Path], None]


class ProgramEmitter:
    """Compiles a program whose leaves are tensor instructions, and runs it into operations."""

    def __init__(self, program: LoopProgram, addresses: Mapping[str, int], config: Config, layer: int):
        self.program, self.config, self.layer = program, config, layer
        self.slots: dict[Var, int] = {}
        self.bases: dict[Buffer, int] = {}  # first element: of a scratchpad, or of DRAM in elements of the buffer
        self.items: list[tuple[Path, Operation | Call]] = []
        self.woven = False
        for name, buffer in program.arguments.items():
            self.bases[buffer] = self._dram_base(name, buffer, addresses)
        self.run = self._compile(program.body)

    def emit(self) -> list[Operation | Call]:
        """All operations, virtual threads woven, in an order that is right when run one after the other."""
        self.items.clear()
        self.run([0] * len(self.slots), ())
        if self.woven:  # turns of a vthread loop have equal paths, and sorting keeps their order
            self.items.sort(key=lambda item: item[0])
        return [item for _, item in self.items]

    def _dram_base(self, name: str, buffer: Buffer, addresses: Mapping[str, int]) -> int:
        if name not in addresses:
            raise WeftError(f"program '{self.program.name}', tensor '{name}'", "every argument has an address", "none",
                            "a memory plan that holds it")
        size = element_bytes(buffer, self.config)
        if addresses[name] % size:
            raise WeftError(f"program '{self.program.name}', tensor '{name}'", f"its address is a multiple of its element, {size} bytes",
                            hex(addresses[name]), "page-aligned addresses")
        return addresses[name] // size

    # Statements

    def _compile(self, stmt: Stmt) -> Emitter:
        match stmt:
            case TensorInstr():
                kind = CopyLeaf if stmt.intrinsic.opcode in (Opcode.LOAD, Opcode.LOAD_PAD, Opcode.STORE) else StepLeaf
                return self._leaf(kind(stmt, self))
            case PlacedAlloc(buffer, body, base):
                self.bases[buffer] = base
                return self._compile(body)
            case For():
                return self._loop(stmt)
            case Seq(body):
                return self._sequence([self._compile(s) for s in body])
        raise TypeError(f"the passes leave no {type(stmt).__name__}")

    def _leaf(self, leaf: "StepLeaf | CopyLeaf") -> Emitter:
        items = self.items

        def run(env: Env, path: Path):
            items.extend([(path, o) for o in leaf.emit(env)])

        return run

    def _sequence(self, parts: list[Emitter]) -> Emitter:
        def run(env: Env, path: Path):
            for position, part in enumerate(parts):
                part(env, (*path, position))

        return run

    def _loop(self, loop: For) -> Emitter:
        extent = self.scalar(loop.extent)
        slot = self.slots.setdefault(loop.var, len(self.slots))
        body = self._compile(loop.body)
        woven = loop.kind == "vthread"
        self.woven |= woven

        def run(env: Env, path: Path):
            for turn in range(extent(env)):
                env[slot] = turn
                body(env, path if woven else (*path, turn))

        return run

    # Expressions

    def scalar(self, e: Expr) -> Callable[[Env], int]:
        """A function of the environment for an index expression of variables outside."""
        linear = affine(e)
        if linear is not None:
            return self.linear(*linear)
        if isinstance(e, Binary) and e.op in ("min", "max", "add", "sub", "mul"):
            a, b = self.scalar(e.a), self.scalar(e.b)
            return {"min": lambda env: min(a(env), b(env)), "max": lambda env: max(a(env), b(env)),
                    "add": lambda env: a(env) + b(env), "sub": lambda env: a(env) - b(env),
                    "mul": lambda env: a(env) * b(env)}[e.op]
        raise WeftError(f"program '{self.program.name}', expression '{e}'", "loops and indices are sums, products, minima and maxima",
                        f"'{getattr(e, 'op', e)}'", "a schedule without fused loops around an instruction")

    def linear(self, terms: Mapping[Var, int], constant: int) -> Callable[[Env], int]:
        pairs = tuple((self.slots[v], c) for v, c in terms.items())
        if not pairs:
            return lambda env: constant
        if len(pairs) == 1:
            (slot, factor), = pairs
            return lambda env: constant + env[slot] * factor

        def value(env: Env) -> int:
            total = constant
            for slot, factor in pairs:
                total += env[slot] * factor
            return total

        return value


def element_bytes(buffer: Buffer, config: Config) -> int:
    """Bytes of one element of a buffer in DRAM."""
    lanes = 1
    for extent in buffer.shape[len(buffer.shape) - buffer.element_rank:]:
        lanes *= extent
    return lanes * {"int8": 1, "int32": 4}.get(buffer.dtype, config.qnt_bytes // config.block_out)


class _Address:
    """An operand's element: a function of the environment, and a step for each of the leaf's own loops."""

    def __init__(self, operand: Operand, leaf: TensorInstr, emitter: ProgramEmitter):
        terms, constant = operand.offset()
        own = [loop.var for loop in leaf.loops]
        self.steps = tuple(terms.get(v, 0) for v in own)
        self.offset = emitter.linear({v: c for v, c in terms.items() if v not in own}, constant)
        self.base = emitter.bases[operand.buffer]
        self.buffer = operand.buffer

    def check(self, low: int, high: int, leaf: TensorInstr, program: LoopProgram):
        """WeftError where elements low to high, counted from the buffer's first, are not all in the buffer."""
        if low < 0 or high >= self.buffer.elements:
            raise WeftError(f"program '{program.name}', instruction '{leaf}'",
                            f"elements of '{self.buffer.name}' are from 0 to {self.buffer.elements - 1}", f"{low} to {high}",
                            "a schedule whose tiles and paddings lie within their buffers")


class StepLeaf:
    """A GEMM, reset or ALU leaf: kernels are folded once for each set of extents."""

    def __init__(self, leaf: TensorInstr, emitter: ProgramEmitter):
        self.leaf, self.emitter = leaf, emitter
        intrinsic = leaf.intrinsic
        self.module = module_of(intrinsic.opcode)
        self.limits = Limits.of(emitter.config, intrinsic.opcode)
        self.extents = [emitter.scalar(loop.extent) for loop in leaf.loops]
        self.addresses = {kind: _Address(leaf.operands[intrinsic.steps[kind]], leaf, emitter)
                          for kind in KINDS if kind in intrinsic.steps}
        self.fields = dict(intrinsic.fields) | {field: leaf.constants[name] for name, field in intrinsic.immediates.items()}
        names = intrinsic.steps
        # which memory each kind addresses, where it does: the src of an immediate is not read
        self.scopes = {kind: a.buffer.scope for kind, a in self.addresses.items() if kind == "dst" or names[kind] != names["dst"]}
        self.reads_dst = self.scopes.get("src") == "acc" and intrinsic.opcode == Opcode.ALU
        self.reads_own = not intrinsic.fields.get("reset")
        self.kernels: dict[tuple, list[Kernel]] = {}

    def emit(self, env: Env) -> list[Call]:
        extents = tuple([extent(env) for extent in self.extents])
        offsets = [a.offset(env) for a in self.addresses.values()]
        bases = [o + a.base for o, a in zip(offsets, self.addresses.values())]
        shift = bases[1] - bases[0] if self.reads_dst else 0
        kernels = self.kernels.get((extents, shift))
        if kernels is None:
            kernels = self.kernels[extents, shift] = self._fold(extents, shift)
        bases_of = (*bases, 0, 0)[:3]
        return [self._call(kernel, offsets, bases_of) for kernel in kernels]

    def _fold(self, extents: tuple[int, ...], shift: int) -> list[Kernel]:
        steps = [a.steps for a in self.addresses.values()]
        steps += [(0,) * len(extents)] * (len(KINDS) - len(steps))
        loops = [Loop(extent, of_loop) for extent, of_loop in zip(extents, zip(*steps))]
        free = True
        if self.leaf.intrinsic.opcode == Opcode.ALU and all(extent > 0 for extent in extents):
            free = free_order(loops, self.leaf.intrinsic.commutes, self.reads_dst, shift)
        return fold(loops, self.limits, free)

    def _call(self, kernel: Kernel, offsets: list[int], bases: tuple[int, int, int]) -> Call:
        touched = {}
        for k, (kind, address) in enumerate(self.addresses.items()):
            address.check(offsets[k] + kernel.first[k], offsets[k] + kernel.last[k], self.leaf, self.emitter.program)
            if kind in self.scopes:
                touched[kind] = (self.scopes[kind], bases[k] + kernel.first[k], bases[k] + kernel.last[k] + 1)
        writes = (touched["dst"],)
        reads = tuple(touched.values()) if self.reads_own else ()
        operation = Operation(self.leaf.intrinsic.opcode, {**self.fields, **kernel.fields}, self.module, self.emitter.layer, reads, writes)
        return Call(operation, kernel, bases)


class CopyLeaf:
    """A LOAD or STORE leaf: transfers are worked out once for each set of extents and of turns that are inside."""

    def __init__(self, leaf: TensorInstr, emitter: ProgramEmitter):
        self.leaf, self.emitter = leaf, emitter
        config, intrinsic = emitter.config, leaf.intrinsic
        self.memory = Memory(intrinsic.fields["memory_type"])
        self.module = module_of(intrinsic.opcode, self.memory)
        self.bytes = MEMORIES[self.memory].dram_bytes(config)
        self.limits = dma.Limits.of(config)
        self.extents = [emitter.scalar(loop.extent) for loop in leaf.loops]
        self.sram, self.dram = (_Address(leaf.operands[name], leaf, emitter) for name in ("sram", "dram"))
        self.scope = leaf.operands["sram"].buffer.scope
        self.pad_value = leaf.constants.get("pad", 0)
        self.inside = [self._condition(e) for e in leaf.inside]
        self.transfers: dict[tuple, list[dma.Transfer]] = {}

    def _condition(self, e: Expr) -> tuple[int | None, int, Callable[[Env], int]]:
        """(which of the leaf's loops, its coefficient, the rest) of an expression that must be >= 0."""
        terms, constant = affine(e)
        own = [(k, terms[loop.var]) for k, loop in enumerate(self.leaf.loops) if loop.var in terms]
        rest = self.emitter.linear({v: c for v, c in terms.items() if all(loop.var is not v for loop in self.leaf.loops)}, constant)
        return (*own[0], rest) if own else (None, 0, rest)

    def _ranges(self, env: Env, extents: tuple[int, ...]) -> tuple[tuple[int, int], ...] | None:
        """The turns of each loop that are inside; None where all is padding."""
        ranges = [(0, extent) for extent in extents]
        for k, factor, rest in self.inside:
            value = rest(env)
            if k is None:
                if value < 0:
                    return None
                continue
            low, high = ranges[k]
            if factor > 0:
                low = max(low, -(value // factor))
            else:
                high = min(high, value // -factor + 1)
            ranges[k] = (low, high)
        return tuple([(min(low, extent), min(max(low, high), extent)) for (low, high), extent in zip(ranges, extents)])

    def emit(self, env: Env) -> list[Operation]:
        extents = tuple([extent(env) for extent in self.extents])
        ranges = self._ranges(env, extents)
        transfers = self.transfers.get((extents, ranges))
        if transfers is None:
            transfers = self.transfers[extents, ranges] = self._transfers(extents, ranges)
        sram, dram = self.sram.offset(env), self.dram.offset(env)
        return [self._operation(t, sram + t.sram, dram + t.dram) for t in transfers]

    def _transfers(self, extents: tuple[int, ...], ranges: tuple[tuple[int, int], ...] | None) -> list[dma.Transfer]:
        outside = () if ranges is not None else (dma.Dim(1, 0, 0, 0, 0),)
        inside = ranges if ranges is not None else [(0, extent) for extent in extents]
        dims = (dma.Dim(extent, *turns, s, d) for extent, turns, s, d in zip(extents, inside, self.sram.steps, self.dram.steps))
        return dma.transfers((*outside, *dims), self.limits)

    def _operation(self, t: dma.Transfer, sram: int, dram: int) -> Operation:
        self.sram.check(sram, sram + t.elements - 1, self.leaf, self.emitter.program)
        block = None
        fields = {"memory_type": self.memory, "sram_base": self.sram.base + sram, "y_size": t.y_size, "x_size": t.x_size,
                  "x_stride": t.x_stride}
        if t.y_size:
            self.dram.check(dram, dram + (t.y_size - 1) * t.x_stride + t.x_size - 1, self.leaf, self.emitter.program)
            fields["dram_base"] = self.dram.base + dram
            block = DramBlock((self.dram.base + dram) * self.bytes, t.y_size, t.x_size * self.bytes, t.x_stride * self.bytes)
        opcode = self.leaf.intrinsic.opcode
        if any(t.pads):
            fields |= {n: p for n, p in zip(("y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1"), t.pads) if p}
            if self.pad_value:
                opcode = Opcode.LOAD_PAD
                fields["pad_value"] = self.pad_value
        touched = ((self.scope, self.sram.base + sram, self.sram.base + sram + t.elements),)
        reads, writes = (touched, ()) if opcode == Opcode.STORE else ((), touched)
        return Operation(opcode, fields, self.module, self.emitter.layer, reads, writes, block)
