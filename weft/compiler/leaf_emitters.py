"""Leaves into operations: what is the same for every turn of the loops around is worked out once, and kept by extents."""

from dataclasses import dataclass, field

from weft.isa import Config, Module, Opcode, WeftError
from weft.isa.table import MEMORIES, Memory, module_of

from .environment import Env, Environment, Value
from .expr import Expr, affine
from .micro_ops import KINDS, Kernel, Limits, Loop, fold, free_order
from .passes import Operand, TensorInstr, dma
from .stmt import Buffer
from .tokens import DramBlock, Operation
from .uop_buffer import Call

COPIES = (Opcode.LOAD, Opcode.LOAD_PAD, Opcode.STORE)
PADS = ("y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1")


@dataclass
class Context:
    """What all leaves of a program share. bases: the first element of each buffer, in its scratchpad or in DRAM; spacings:
    as of PlacedAlloc."""

    subject: str
    config: Config
    layer: int
    environment: Environment
    bases: dict[Buffer, int] = field(default_factory=dict)
    spacings: dict[Buffer, int] = field(default_factory=dict)


def module_of_leaf(leaf: TensorInstr) -> Module:
    """The module that runs a leaf."""
    return module_of(leaf.intrinsic.opcode, leaf.intrinsic.fields.get("memory_type", Memory.UOP))


def emitter_of(leaf: TensorInstr, context: Context) -> "StepLeaf | CopyLeaf":
    """What makes a leaf's operations; its buffers must have bases."""
    return (CopyLeaf if leaf.intrinsic.opcode in COPIES else StepLeaf)(leaf, context)


class _Address:
    """An operand's element: a function of the environment, and a step for each of the leaf's own loops."""

    def __init__(self, operand: Operand, leaf: TensorInstr, context: Context):
        spacing = context.spacings.get(operand.buffer, 0)
        terms, constant = operand.offset(spacing)
        own = [loop.var for loop in leaf.loops]
        self.steps = tuple(terms.get(v, 0) for v in own)
        self.offset = context.environment.linear({v: c for v, c in terms.items() if v not in own}, constant)
        self.base = context.bases[operand.buffer]
        self.buffer = operand.buffer
        between = spacing - self.buffer.elements // self.buffer.threads if spacing else 0
        self.elements = operand.buffer.elements + (self.buffer.threads - 1) * between
        self.leaf, self.subject = leaf, context.subject

    def check(self, low: int, high: int):
        """WeftError where elements low to high, counted from the buffer's first, are not all in the buffer."""
        if low < 0 or high >= self.elements:
            raise WeftError(f"{self.subject}, instruction '{self.leaf}'",
                            f"elements of '{self.buffer.name}' are from 0 to {self.elements - 1}", f"{low} to {high}",
                            "a schedule whose tiles and paddings lie within their buffers")


class StepLeaf:
    """A GEMM, reset, DEPTHWISE or ALU leaf: kernels are folded once for each set of extents."""

    def __init__(self, leaf: TensorInstr, context: Context):
        self.layer, intrinsic, self.half = context.layer, leaf.intrinsic, context.config.acc_depth // 2
        self.opcode, self.module, self.commutes = intrinsic.opcode, module_of_leaf(leaf), intrinsic.commutes
        self.limits = Limits.of(context.config, intrinsic.opcode, leaf.constants.get("taps"))
        self.extents = [context.environment.value(loop.extent) for loop in leaf.loops]
        names = intrinsic.steps
        self.addresses = [_Address(leaf.operands[names[kind]], leaf, context) for kind in KINDS if kind in names]
        self.spans = [leaf.constants.get(intrinsic.windows.get(names[kind]), 1) for kind in KINDS if kind in names]
        self.fields = dict(intrinsic.fields) | {f: leaf.constants[name] for name, f in intrinsic.immediates.items()}
        # what is touched: the src of an immediate is dst again and is not read, and a reset reads nothing
        roles = [names[kind] for kind in KINDS if kind in names]
        self.touched = [k for k, role in enumerate(roles) if k == 0 or role != roles[0]]
        self.reads = not intrinsic.fields.get("reset")
        self.reads_dst = self.opcode == Opcode.ALU and 1 in self.touched and self.addresses[1].buffer.scope == "acc"
        self.kernels: dict[tuple, list[Kernel]] = {}

    def emit(self, env: Env) -> list[Call]:
        """The operations for these values of the loops around."""
        extents = tuple([extent(env) for extent in self.extents])
        offsets = [a.offset(env) for a in self.addresses]
        bases = tuple([o + a.base for o, a in zip(offsets, self.addresses)])
        shift = bases[1] - bases[0] if self.reads_dst else 0
        kernels = self.kernels.get((extents, shift))
        if kernels is None:
            kernels = self.kernels[extents, shift] = self._fold(extents, shift)
        return [self._call(kernel, offsets, bases) for kernel in kernels]

    def _fold(self, extents: tuple[int, ...], shift: int) -> list[Kernel]:
        if any(extent <= 0 for extent in extents):
            return []
        steps = [a.steps for a in self.addresses]
        steps += [(0,) * len(extents)] * (len(KINDS) - len(steps))
        loops = [Loop(extent, of_loop) for extent, of_loop in zip(extents, zip(*steps))]
        free = self.opcode != Opcode.ALU or free_order(loops, self.commutes, self.reads_dst, shift)
        return fold(loops, self.limits, free)

    def _call(self, kernel: Kernel, offsets: list[int], bases: tuple[int, ...]) -> Call:
        touched = []
        for k, address in enumerate(self.addresses):
            last = kernel.last[k] + self.spans[k] - 1
            address.check(offsets[k] + kernel.first[k], offsets[k] + last)
            if k in self.touched:
                touched.append((address.buffer.scope, bases[k] + kernel.first[k], bases[k] + last + 1))
        halves = {element // self.half for scope, begin, end in touched if scope == "acc" for element in (begin, end - 1)}
        operation = Operation(self.opcode, {**self.fields, **kernel.fields, "half": int(len(halves) == 1)}, self.module,
                              self.layer,
                              tuple(touched) if self.reads else (), (touched[0],))
        return Call(operation, kernel, (*bases, 0, 0)[:len(KINDS)])


class CopyLeaf:
    """A LOAD or STORE leaf: transfers are worked out once for each set of extents and of turns that are inside."""

    def __init__(self, leaf: TensorInstr, context: Context):
        self.layer, self.opcode, self.module = context.layer, leaf.intrinsic.opcode, module_of_leaf(leaf)
        self.memory = Memory(leaf.intrinsic.fields["memory_type"])
        self.bytes = MEMORIES[self.memory].dram_bytes(context.config)
        self.limits = dma.Limits.of(context.config)
        self.extents = [context.environment.value(loop.extent) for loop in leaf.loops]
        self.sram, self.dram = (_Address(leaf.operands[name], leaf, context) for name in ("sram", "dram"))
        self.pad_value = leaf.constants.get("pad", 0)
        self.inside = [_condition(e, leaf, context.environment) for e in leaf.inside]
        self.transfers: dict[tuple, list[dma.Transfer]] = {}

    def emit(self, env: Env) -> list[Operation]:
        """The operations for these values of the loops around."""
        extents = tuple([extent(env) for extent in self.extents])
        ranges = self._ranges(env, extents)
        transfers = self.transfers.get((extents, ranges))
        if transfers is None:
            transfers = self.transfers[extents, ranges] = self._transfers(extents, ranges)
        sram, dram = self.sram.offset(env), self.dram.offset(env)
        return [self._operation(t, sram + t.sram, dram + t.dram) for t in transfers]

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

    def _transfers(self, extents: tuple[int, ...], ranges: tuple[tuple[int, int], ...] | None) -> list[dma.Transfer]:
        outside = () if ranges is not None else (dma.Dim(1, 0, 0, 0, 0),)
        inside = ranges if ranges is not None else [(0, extent) for extent in extents]
        nest = zip(extents, inside, self.sram.steps, self.dram.steps)
        return dma.transfers((*outside, *(dma.Dim(extent, *turns, s, d) for extent, turns, s, d in nest)), self.limits)

    def _operation(self, t: dma.Transfer, sram: int, dram: int) -> Operation:
        self.sram.check(sram, sram + t.elements - 1)
        first = self.sram.base + sram
        opcode, block = self.opcode, None
        fields = {"memory_type": self.memory, "sram_base": first,
                  "y_size": t.y_size, "x_size": t.x_size, "x_stride": t.x_stride}
        if t.y_size:
            self.dram.check(dram, dram + (t.y_size - 1) * t.x_stride + t.x_size - 1)
            fields["dram_base"] = self.dram.base + dram
            block = DramBlock(fields["dram_base"] * self.bytes, t.y_size, t.x_size * self.bytes, t.x_stride * self.bytes)
        if any(t.pads):
            fields |= {name: pad for name, pad in zip(PADS, t.pads) if pad}
            if self.pad_value:
                opcode = Opcode.LOAD_PAD
                fields["pad_value"] = self.pad_value
        touched = ((self.sram.buffer.scope, first, first + t.elements),)
        reads, writes = (touched, ()) if opcode == Opcode.STORE else ((), touched)
        return Operation(opcode, fields, self.module, self.layer, reads, writes, block)


def _condition(e: Expr, leaf: TensorInstr, environment: Environment) -> tuple[int | None, int, Value]:
    """(which of the leaf's loops, its coefficient, the rest) of an expression that must be >= 0."""
    terms, constant = affine(e)
    own = [(k, terms[loop.var]) for k, loop in enumerate(leaf.loops) if loop.var in terms]
    variables = [loop.var for loop in leaf.loops]
    rest = environment.linear({v: c for v, c in terms.items() if v not in variables}, constant)
    return (*own[0], rest) if own else (None, 0, rest)
