"""Which instruction is known to be done before which other one, from program order and tokens alone.

The three modules and their queues are a Kahn network: no choice depends on timing, so one execution tells for all
whether the program ends, and the k-th pop of a queue always meets the k-th push.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from . import waiting
from .program import Instruction
from .registers import TOKEN_QUEUE_DEPTH, Queue
from .table import Module

POPS = {Module.LOAD: {"pop_next": Queue.COMPUTE_TO_LOAD},
        Module.COMPUTE: {"pop_prev": Queue.LOAD_TO_COMPUTE, "pop_next": Queue.STORE_TO_COMPUTE},
        Module.STORE: {"pop_prev": Queue.COMPUTE_TO_STORE}}
PUSHES = {Module.LOAD: {"push_next": Queue.LOAD_TO_COMPUTE},
          Module.COMPUTE: {"push_prev": Queue.COMPUTE_TO_LOAD, "push_next": Queue.COMPUTE_TO_STORE},
          Module.STORE: {"push_prev": Queue.STORE_TO_COMPUTE}}
GIVER = {queue: module for module, pushes in PUSHES.items() for queue in pushes.values()}


class TokenMachine:
    """The token side of a machine: which instruction may run next. Devices without a clock run by it.

    tokens: tokens in each queue at the beginning, changed as instructions run.
    """

    def __init__(self, instructions: list[Instruction], tokens: dict[Queue, int]):
        self.instructions, self.tokens = instructions, tokens
        self.waiting: dict[Module, deque[int]] = {m: deque() for m in Module}
        for index, instruction in enumerate(instructions):
            self.waiting[instruction.module].append(index)

    def next(self) -> int | None:
        """The earliest instruction of the stream that can run now, or None."""
        ready = [q[0] for m, q in self.waiting.items() if q and not self.blocked(m)]
        return min(ready) if ready else None

    def pop(self, index: int):
        """Takes the instruction's tokens, and it from its queue."""
        instruction = self.instructions[index]
        self.waiting[instruction.module].popleft()
        for flag, queue in POPS[instruction.module].items():
            self.tokens[queue] -= instruction.fields.get(flag, 0)

    def push(self, index: int):
        """Gives the instruction's tokens."""
        instruction = self.instructions[index]
        for flag, queue in PUSHES[instruction.module].items():
            self.tokens[queue] += instruction.fields.get(flag, 0)

    def blocked(self, module: Module) -> bool:
        """Whether the module's next instruction has to wait."""
        return bool(self._missing(module)) or self._full(module)

    def who_waits(self) -> str:
        """One sentence a module, for the message of a deadlock."""
        return "; ".join(map(self._sentence, self.waiting))

    def _missing(self, module: Module) -> list[Queue]:
        """The queues that lack a token for the module's next instruction."""
        fields = self.instructions[self.waiting[module][0]].fields
        return [queue for flag, queue in POPS[module].items() if fields.get(flag) and not self.tokens[queue]]

    def _full(self, module: Module) -> bool:
        fields = self.instructions[self.waiting[module][0]].fields
        return any(fields.get(flag) and self.tokens[queue] >= TOKEN_QUEUE_DEPTH for flag, queue in PUSHES[module].items())

    def _sentence(self, module: Module) -> str:
        if not self.waiting[module]:
            return waiting.has_done(module, sum(i.module == module for i in self.instructions))
        index = self.waiting[module][0]
        if missing := self._missing(module):
            return waiting.waits_for_tokens(module, [GIVER[queue] for queue in missing], index, self.instructions[index])
        told = waiting.waits_for_room if self._full(module) else waiting.has_not_begun
        return told(module, index, self.instructions[index])


@dataclass
class Order:
    """order: instructions in one order in which they can run. clocks: int64 [n, 3]; `clocks[j, m]` is the last
    instruction of module m that is known to be done before j begins (-1: none). tokens: what is left at the end."""

    order: list[int]
    clocks: np.ndarray
    tokens: dict[Queue, int]
    stuck: str | None  # who waits for whom, where not all instructions can run


def analyse(instructions: list[Instruction], tokens: dict[Queue, int] | None = None) -> Order:
    """Runs the tokens of a stream alone. `tokens`: those left over by the launch before."""
    machine = TokenMachine(instructions, dict(tokens) if tokens else dict.fromkeys(Queue, 0))
    clocks = [[-1, -1, -1] for _ in instructions]
    senders: dict[Queue, deque[int | None]] = {q: deque([None] * machine.tokens[q]) for q in Queue}
    last: dict[Module, int | None] = dict.fromkeys(Module)
    order = []
    while (index := machine.next()) is not None:
        instruction = instructions[index]
        module = instruction.module
        known = clocks[index]
        for earlier in [last[module]] + [senders[q].popleft() for f, q in POPS[module].items() if instruction.fields.get(f)]:
            if earlier is not None:
                known[:] = map(max, known, clocks[earlier])
                sender = instructions[earlier].module
                known[sender] = max(known[sender], earlier)
        machine.pop(index)
        machine.push(index)
        for flag, queue in PUSHES[module].items():
            if instruction.fields.get(flag):
                senders[queue].append(index)
        last[module] = index
        order.append(index)
    stuck = machine.who_waits() if len(order) < len(instructions) else None
    return Order(order, np.array(clocks, np.int64).reshape(-1, 3), machine.tokens, stuck)
