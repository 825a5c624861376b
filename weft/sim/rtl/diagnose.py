"""Who waits for whom: the state of a machine that does not finish, in words."""

from collections.abc import Sequence

from weft.isa import Instruction, Module, Opcode, waiting
from weft.isa.happens_before import GIVER, POPS
from weft.isa.registers import REGISTERS


def bits(register: str, value: int) -> dict[str, int]:
    """The named fields of a register's value."""
    return {name: value >> low & (1 << width) - 1 for name, low, width in REGISTERS[register].bits}


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
    own = [(i, instruction) for i, instruction in enumerate(instructions) if instruction.module == module]
    if ended < min(started, len(own)):
        full = any(on and flag.startswith(f"{module.name.lower()}_full") for flag, on in waits.items())
        return (waiting.waits_for_room if full else waiting.is_in)(module, *own[ended])
    if started >= len(own):
        return waiting.has_done(module, len(own))
    index, instruction = own[started]
    missing = [GIVER[queue] for flag, queue in POPS[module].items()
               if getattr(instruction, flag) and not held[queue.name.lower()]]
    if missing:
        return waiting.waits_for_tokens(module, missing, index, instruction)
    return waiting.has_not_begun(module, index, instruction)
