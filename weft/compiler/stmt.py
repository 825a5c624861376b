"""The loop program: what a schedule lowers to, and what the loop passes turn step by step into instructions.

A program is a tree of Seq, For, Alloc and Store. Passes replace Store nests by `Instr` leaves (instr.py of the passes);
the shape of the tree stays. Any stage prints as text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from .expr import Expr, Var

# where a buffer lives; OUT is no scope of its own, being ACC's shadow; the CPU has memory (dram), a function's own (local),
# and registers (reg); a GPU has memory (dram), that of a block of threads (shared), and each thread's own (local)
CPU_SCOPES = ("local", "reg")
SCOPES = ("dram", "inp", "wgt", "acc", "qnt", "lut", *CPU_SCOPES, "shared")


@dataclass(frozen=True, eq=False)
class Buffer:
    """An array. Its trailing `element_rank` axes are one element of its memory; the axes before count elements.

    shape: ints, the element's axes included: (..., batch, block) for inp, acc and activations in DRAM,
        (..., block_out, block_in) for wgt and weights in DRAM, (..., block_out) of dtype qnt for qnt, (...) of dtype lut for
        lut.
    dtype: 'int8', 'int32', 'qnt' or 'lut' (a table of 256 int8); on the CPU also 'uint8', 'int64', 'float32', 'float64'.
    threads: above 1, the first axis is over so many virtual threads, each with memory of its own.
    strides: in values, for each axis; () means one value after the other, the last axis fastest.
    low: for each axis how many indices below 0 have memory too; () for none. shape counts from 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scope: str = "dram"
    element_rank: int = 2
    threads: int = 1
    strides: tuple[int, ...] = ()
    low: tuple[int, ...] = ()

    @property
    def span(self) -> int:
        """Values from the first that has memory to the last, those that strides leave out included."""
        if not self.strides:
            return prod(self.shape)
        low = self.low or (0,) * len(self.shape)
        return 1 + sum((size + below - 1) * stride for size, below, stride in zip(self.shape, low, self.strides))

    @property
    def elements(self) -> int:
        count = 1
        for extent in self.shape[:len(self.shape) - self.element_rank]:
            count *= extent
        return count

    def __str__(self):
        return f"{self.name}: {self.dtype}{list(self.shape)} in {self.scope}"


class Stmt:
    """Base of all statements."""


@dataclass(eq=False)
class Store(Stmt):
    """buffer[indices] = value, for one scalar."""

    buffer: Buffer
    indices: tuple[Expr, ...]
    value: Expr


@dataclass(eq=False)
class For(Stmt):
    """for var in range(extent): body. `extent` may depend on outer variables (the tail of a split), and may be 0 or less.

    kind: 'serial', or 'vthread': the iterations are woven into one stream, statement by statement, and each has its own copy
        of every buffer allocated inside; for the CPU 'parallel' (threads share the turns), 'unroll', and 'vectorise' (all
        turns at once, a lane each); for the GPU schedule.THREADS (each thread does its own turn).
    tensorize: name of the tensor instruction that the body must equal, if the schedule asked for one ('gemm', 'depthwise',
        'alu',
        'reset', 'load', 'store'; 'dot4' of the CPU; 'dp4a', 'mma' of the GPU); None where the passes may choose.
    """

    var: Var
    extent: Expr
    body: Stmt
    kind: str = "serial"
    tensorize: str | None = None


@dataclass(eq=False)
class If(Stmt):
    """body, where the condition holds."""

    condition: Expr
    body: Stmt


@dataclass(eq=False)
class Seq(Stmt):
    """One after the other."""

    body: list[Stmt] = field(default_factory=list)


@dataclass(eq=False)
class Alloc(Stmt):
    """`buffer` exists within body. Its shape is the largest that any iteration needs."""

    buffer: Buffer
    body: Stmt


@dataclass
class LoopProgram:
    """One operator. `arguments` are the DRAM buffers by the name of the graph tensor that they hold, inputs before
    outputs."""

    name: str
    arguments: dict[str, Buffer]
    body: Stmt

    def __str__(self):
        lines = [f"program {self.name}(" + ", ".join(map(str, self.arguments.values())) + "):"]
        return "\n".join(lines + list(_lines(self.body, 1)))


def text(stmt: Stmt) -> str:
    """The statement as it prints within a program, in one line."""
    return "; ".join(line.strip() for line in _lines(stmt, 0))


def _lines(stmt: Stmt, depth: int) -> Iterator[str]:
    pad = "  " * depth
    match stmt:
        case Seq(body):
            for s in body:
                yield from _lines(s, depth)
        case For(var, extent, body):
            note = f"  # tensorize {stmt.tensorize}" if stmt.tensorize else ""
            yield f"{pad}{'for' if stmt.kind == 'serial' else stmt.kind} {var} in range({extent}):{note}"
            yield from _lines(body, depth + 1)
        case Alloc(buffer, body):
            yield f"{pad}alloc {buffer}"
            yield from _lines(body, depth)
        case If(condition, body):
            yield f"{pad}if {condition}:"
            yield from _lines(body, depth + 1)
        case Store(buffer, indices, value):
            yield f"{pad}{buffer.name}[{', '.join(map(str, indices))}] = {value}"
        case _:  # leaves that the passes add print themselves
            yield from (pad + line for line in str(stmt).splitlines())
