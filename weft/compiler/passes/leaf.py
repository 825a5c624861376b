"""The leaves that passes put in place of scalar statements: one tensor instruction, with the loops that it runs itself."""

from dataclasses import dataclass, field

from weft.compiler.expr import Expr, Var, affine
from weft.compiler.stmt import Alloc, Buffer, For, Stmt

from .intrinsics import Intrinsic


@dataclass(frozen=True, eq=False)
class Operand:
    """One element of `buffer` for every step: `index` are the indices before the element's own axes, each affine."""

    buffer: Buffer
    index: tuple[Expr, ...]

    def offset(self, spacing: int = 0) -> tuple[dict[Var, int], int]:
        """The element's number within its buffer as ({variable: coefficient}, constant).

        spacing: elements between the beginnings of two turns of the first axis, if they are not dense.
        """
        terms: dict[Var, int] = {}
        constant, stride = 0, 1
        for axis, (i, extent) in reversed(list(enumerate(zip(self.index, self.buffer.shape)))):
            stride = spacing if axis == 0 and spacing else stride
            coefficients, rest = affine(i)
            for v, c in coefficients.items():
                terms[v] = terms.get(v, 0) + c * stride
            constant += rest * stride
            stride *= extent
        return {v: c for v, c in terms.items() if c}, constant

    def __str__(self):
        return f"{self.buffer.name}[{', '.join(map(str, self.index))}]"


@dataclass(eq=False)
class TensorInstr(Stmt):
    """`intrinsic` for every step of `loops`, outermost first; equal to the nest `meaning`, which it replaced.

    loops: the extents may depend on variables outside of this leaf, never on one another.
    operands: by the name of the intrinsic's formal buffer.
    constants: by the name of the intrinsic's parameter.
    inside: affine expressions over loops; a step copies where all are >= 0, and pads elsewhere. Each has at most one
        variable of `loops`.
    """

    intrinsic: Intrinsic
    loops: tuple[For, ...]
    operands: dict[str, Operand]
    constants: dict[str, int]
    inside: tuple[Expr, ...]
    meaning: Stmt

    def __str__(self):
        given = [f"{role}={operand}" for role, operand in self.operands.items()]
        given += [f"{name}={value}" for name, value in self.constants.items()]
        text = f"{self.intrinsic.name}({', '.join(given)})"
        text += "".join(f" for {loop.var} in range({loop.extent})" for loop in self.loops)
        return text + (" inside " + " and ".join(f"{e} >= 0" for e in self.inside) if self.inside else "")


@dataclass(eq=False)
class PlacedAlloc(Alloc):
    """An Alloc that knows where it is: `base` is the first element in its scratchpad.

    spacing: elements between the beginnings of what two virtual threads have of it; 0 where the buffer is dense.
    """

    base: int = field(default=0)
    spacing: int = field(default=0)
