"""Who waits for whom, in words: a sentence for each module of a machine that does not go on."""

from collections.abc import Sequence

from .program import Instruction
from .table import Memory, Module, Opcode

FLAGS = ("pop_prev", "pop_next", "push_prev", "push_next")


def instruction_text(index: int, instruction: Instruction) -> str:
    """`instruction 7 (LOAD INP, pop_next)`: opcode, memory and tokens."""
    name = instruction.opcode.name
    if instruction.opcode in (Opcode.LOAD, Opcode.STORE, Opcode.LOAD_PAD):
        name += f" {Memory(instruction.memory_type).name}"
    return f"instruction {index} ({', '.join([name, *(flag for flag in FLAGS if getattr(instruction, flag))])})"


def has_done(module: Module, count: int) -> str:
    return f"{_name(module)} has done all its {count} instructions"


def waits_for_tokens(module: Module, givers: Sequence[Module], index: int, instruction: Instruction) -> str:
    """The module has not begun the instruction, since it has no token of these modules."""
    whose = " and of ".join(map(_name, givers))
    return f"{_name(module)} waits for a token of {whose} before {instruction_text(index, instruction)}"


def waits_for_room(module: Module, index: int, instruction: Instruction) -> str:
    """The module cannot end the instruction, since a queue that it pushes to is full."""
    return f"{_name(module)} waits for room in a token queue in {instruction_text(index, instruction)}"


def is_in(module: Module, index: int, instruction: Instruction) -> str:
    return f"{_name(module)} is in {instruction_text(index, instruction)}"


def has_not_begun(module: Module, index: int, instruction: Instruction) -> str:
    return f"{_name(module)} has not begun {instruction_text(index, instruction)}"


def _name(module: Module) -> str:
    return module.name.lower()
