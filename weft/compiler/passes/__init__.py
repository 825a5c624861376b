"""The loop passes, in their order: from a lowered loop program to one whose leaves are tensor instructions."""

from collections.abc import Callable
from dataclasses import dataclass

from weft.compiler.stmt import LoopProgram
from weft.isa import Config

from .intrinsics import Intrinsic, Parameter, declare, intrinsics
from .leaf import Operand, PlacedAlloc, TensorInstr
from .storage import in_place, place
from .tensorize import tensorize
from .vthread import privatise

__all__ = ["PASSES", "Intrinsic", "Operand", "Parameter", "Pass", "PlacedAlloc", "TensorInstr", "declare", "intrinsics",
           "run_passes"]


@dataclass(frozen=True)
class Pass:
    """A named step from loop program to loop program; both mean the same."""

    name: str
    run: Callable[[LoopProgram, Config], LoopProgram]


PASSES = (
    Pass("in-place", in_place),
    Pass("vthread", privatise),
    Pass("tensorize", tensorize),
    Pass("storage", place),
)


def run_passes(program: LoopProgram, config: Config,
               after: Callable[[str, LoopProgram], None] = lambda name, program: None) -> LoopProgram:
    """All passes in order; `after` is called with each one's name and result."""
    for step in PASSES:
        program = step.run(program, config)
        after(step.name, program)
    return program
