"""Who waits for whom: the state of a machine that does not finish, in words."""

from collections.abc import Sequence

from weft.isa import Instruction, Memory, Module, Opcode
from weft.isa.registers import REGISTERS, Queue

PREVIOUS = {Module.COMPUTE: Module.LOAD, Module.STORE: Module.COMPUTE}
NEXT = {before: behind for behind, before in PREVIOUS.items()}
_QUEUES = {(Module.LOAD, Module.COMPUTE): Queue.LOAD_TO_COMPUTE, (Module.COMPUTE, Module.LOAD): Queue.COMPUTE_TO_LOAD,
           (Module.COMPUTE, Module.STORE): Queue.COMPUTE_TO_STORE, (Module.STORE, Module.COMPUTE): Queue.STORE_TO_COMPUTE}


def bits(register: str, value: int) -> dict[str, int]:
    """The named fields of a register's value."""
    return {name: value >> low & (1 << width) - 1 for name, low, width in REGISTERS[register].bits}


def instruction_text(index: int, instruction: Instruction) -> str:
    """`instruction 7 (LOAD INP, pop_next)`: opcode, memory and tokens."""
    name = instruction.opcode.name
    if instruction.opcode in (Opcode.LOAD, Opcode.STORE, Opcode.LOAD_PAD):
        name += f" {Memory(instruction.memory_type).name}"
    tokens = [flag for flag in ("pop_prev", "pop_next", "push_prev", "push_next") if getattr(instruction, flag)]
    return f"instruction {index} ({', '.join([name, *tokens])})"


def steps(instruction: Instruction) -> int:
    """Micro-op steps of GEMM and ALU, 0 for others: the cycles it may need with nothing to be seen from outside."""
    if instruction.opcode not in (Opcode.GEMM, Opcode.ALU):
        return 0
    return max(0, instruction.uop_end - instruction.uop_bgn) * instruction.iter_out * instruction.iter_in


def running(instructions: Sequence[Instruction], module: Module, started: int, ended: int) -> tuple[int, Instruction] | None:
    """The oldest instruction, with its index, that a module has begun and not ended."""
    own = [(i, instruction) for i, instruction in enumerate(instructions) if instruction.module == module]
    return own[ended] if ended < min(started, len(own)) else None


def who_waits(instructions: Sequence[Instruction], begun: dict[Module, tuple[int, int]], tokens: int, status: int) -> str:
    """One sentence a module.

    begun: (instructions started, instructions ended) of each module.
    tokens, status: values of these registers.
    """
    held, waits = bits("tokens", tokens), bits("status", status)
    return "; ".join(_module_text(instructions, module, *begun[module], held, waits) for module in Module)


def _module_text(instructions, module: Module, started: int, ended: int, held: dict[str, int], waits: dict[str, int]) -> str:
    name = module.name.lower()
    own = [(i, instruction) for i, instruction in enumerate(instructions) if instruction.module == module]
    if ended < min(started, len(own)):
        full = [flag for flag, on in waits.items() if on and flag.startswith(f"{name}_full")]
        return f"{name} {'waits for room in a token queue in' if full else 'is in'} {instruction_text(*own[ended])}"
    if started >= len(own):
        return f"{name} has done all its {len(own)} instructions"
    index, instruction = own[started]
    missing = [other.name.lower() for flag, neighbours in (("pop_prev", PREVIOUS), ("pop_next", NEXT))
               if getattr(instruction, flag) and (other := neighbours.get(module)) is not None
               and held[_QUEUES[other, module].name.lower()] == 0]
    if missing:
        return f"{name} waits for a token of {' and of '.join(missing)} before {instruction_text(index, instruction)}"
    return f"{name} has not begun {instruction_text(index, instruction)}"
