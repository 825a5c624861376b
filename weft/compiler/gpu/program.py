"""From a run of nodes to kernels for a GPU: `build(graph, nodes, outputs)`.

Layouts are the CPU's (weft.compiler.cpu.plan). A step is one launch of a kernel, or of the one that fills a tensor's border;
steps run one after the other. Kernels whose loops are the same are one function of the PTX.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from ..arena import aligned
from ..cpu.kernel import Kernel
from ..cpu.layout import Fill
from ..cpu.plan import Plan, plan
from ..cpu.program import Constants, arena, working
from ..expr import Const, Expr, Var, binary
from ..graph import Graph, Node
from ..stmt import Buffer, For, If, LoopProgram, Seq, Stmt, Store
from . import operators
from .canonical import canonical
from .emit import emit
from .ptx import DEFAULT, ptx
from .threads import Dimensions, dimensions

Told = Callable[[int, str], None]  # (position in the nodes, name of the one that is compiled)
FILLERS = 128  # threads of a block that fills a border


@dataclass(frozen=True)
class Place:
    """Where an argument of a kernel lies: bytes from the begin of `memory`, "arena" or "constants", to the one at
    (0, 0, ..)."""

    memory: str
    offset: int


@dataclass(frozen=True)
class Step:
    """One launch. layer: the position in the nodes that it belongs to."""

    program: LoopProgram
    symbol: str
    sizes: Dimensions
    places: tuple[Place, ...]
    layer: int


@dataclass(frozen=True)
class Program:
    """What a run of nodes became. inputs, outputs: names, and where in the arena they lie, row-major; constants: uint8."""

    inputs: dict[str, int]
    outputs: dict[str, int]
    arena_size: int
    constants: np.ndarray
    steps: list[Step]
    ptx: str


def build(graph: Graph, nodes: Sequence[Node], outputs: Iterable[str], architecture: str = DEFAULT,
          told: Told = lambda position, name: None) -> Program:
    """PTX for a run of nodes, all of which `operators.why_not` allows. Arguments as of weft.compiler.cpu.program.build."""
    return _Builder(plan(graph, nodes, outputs), architecture, told).build()


class _Builder:
    def __init__(self, planned: Plan, architecture: str, told: Told):
        self.planned, self.architecture, self.told = planned, architecture, told
        self.constants, self.module, self.symbols = Constants(), ir.Module("weft"), {}

    def build(self) -> Program:
        kernels: list[list[Kernel]] = []
        for position, node in zip(self.planned.makers, self.planned.nodes):
            self.told(position, node.name)
            views = {name: self.planned.views[name] for name in (*node.inputs, *node.outputs) if name in self.planned.views}
            kernels.append(operators.build(node, self.planned.graph, views))
        self.offsets, size = arena(self.planned, {"ptx": kernels})
        callers = {}
        for name in dict.fromkeys((*self.planned.inputs, *self.planned.outputs)):
            callers[name], size = size, aligned(size + self.planned.views[name].elements * self.planned.views[name].itemsize)
        self.offsets |= callers
        steps = [step for position, of_node in enumerate(kernels) for step in self._steps(position, of_node)]
        text = ptx(self.module, self.architecture)
        inputs, outputs = ({name: callers[name] for name in names} for names in (self.planned.inputs, self.planned.outputs))
        return Program(inputs, outputs, size, self.constants.array(), steps, text)

    def _steps(self, position: int, kernels: Sequence[Kernel]) -> Iterable[Step]:
        layer = self.planned.makers[position]
        for name in self.planned.nodes[position].outputs:
            borders = [b for b in self.planned.fills.get(name, ()) if b.words and b.counts[0] * b.counts[1]]
            borders.sort(key=lambda b: b.offset)
            if borders:
                yield self._step(fill(borders), layer, [Place("arena", self.offsets[name] + borders[0].offset)])
        for kernel in kernels:
            places = [self._place(position, name, kernel) for name in kernel.program.arguments]
            yield self._step(kernel.program, layer, places)

    def _step(self, program: LoopProgram, layer: int, places: Iterable[Place]) -> Step:
        return Step(program, self._symbol(program), dimensions(program), tuple(places), layer)

    def _place(self, position: int, name: str, kernel: Kernel) -> Place:
        if name in kernel.constants:
            return Place("constants", self.constants.place(kernel.constants[name]))
        if name not in self.planned.views:
            return Place("arena", self.offsets[working(position, name)])
        return Place("arena", self.offsets[name] + self.planned.views[name].offset)

    def _symbol(self, program: LoopProgram) -> str:
        """The name of the program's function, which the module has then."""
        text = canonical(program)
        if text not in self.symbols:
            self.symbols[text] = f"weft_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            emit(program, self.symbols[text], self.module)
        return self.symbols[text]


def fill(borders: Sequence[Fill]) -> LoopProgram:
    """The program that fills the stretches of a tensor's border: each block one of their rows, each thread some words of it.

    Its argument begins where the first stretch does.
    """
    origin = borders[0].offset
    ends = [(b.offset - origin + (b.counts[0] - 1) * b.steps[0] + (b.counts[1] - 1) * b.steps[1]) // 4 + b.words
            for b in borders]
    words = Buffer("border", (max(ends),), "int32", "dram", 0, strides=(1,))
    row, body, rows = Var("row"), Seq([]), 0
    for border in borders:
        count = border.counts[0] * border.counts[1]
        own = row if not rows else binary("sub", row, rows)
        conditions = [row.ge(rows)] * (rows > 0) + [row.lt(rows + count)] * (border is not borders[-1])
        part: Stmt = _stretch(border, words, own, (border.offset - origin) // 4)
        for condition in conditions:
            part = If(condition, part)
        body.body.append(part)
        rows += count
    return LoopProgram("fill", {"border": words}, For(row, Const(rows), body, "blockIdx.x"))


def _stretch(border: Fill, words: Buffer, row: Expr, begin: int) -> Stmt:
    """One row of a stretch that begins so many words behind the buffer's first."""
    turn, thread, width = Var("turn"), Var("thread"), min(FILLERS, border.words)
    inner, (far, near) = border.counts[1], border.steps
    at = binary("add", binary("mul", turn, width), thread)
    left = binary("sub", border.words, binary("mul", turn, width))
    first = binary("add", binary("mul", binary("floordiv", row, inner), far // 4),
                   binary("mul", binary("mod", row, inner), near // 4))
    value = Const(border.pattern - (1 << 32) if border.pattern >> 31 else border.pattern, "int32")
    store = Store(words, (binary("add", binary("add", first, at), begin),), value)
    return For(turn, Const(-(-border.words // width)), For(thread, binary("min", width, left), store, "threadIdx.x"))
