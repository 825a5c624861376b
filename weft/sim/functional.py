"""The functional device: what a program computes, with no clock. Modules take turns by their tokens alone."""

import time
from collections import deque

import numpy as np

from weft.isa import Config, Instruction, Module, Opcode, WeftError, decode
from weft.isa.registers import TOKEN_QUEUE_DEPTH, Queue
from weft.isa.table import INSTRUCTION_BYTES
from weft.runtime.device import EVENT, ArrayDram, Bases, LaunchReport

from .scratchpads import Scratchpads

# For each module: flag -> queue that it pops from or pushes to.
POPS = {Module.LOAD: {"pop_next": Queue.COMPUTE_TO_LOAD},
        Module.COMPUTE: {"pop_prev": Queue.LOAD_TO_COMPUTE, "pop_next": Queue.STORE_TO_COMPUTE},
        Module.STORE: {"pop_prev": Queue.COMPUTE_TO_STORE}}
PUSHES = {Module.LOAD: {"push_next": Queue.LOAD_TO_COMPUTE},
          Module.COMPUTE: {"push_prev": Queue.COMPUTE_TO_LOAD, "push_next": Queue.COMPUTE_TO_STORE},
          Module.STORE: {"push_prev": Queue.STORE_TO_COMPUTE}}


class FunctionalDevice(ArrayDram):
    """A `Device` without a clock: `cycles` of its reports is None, and its trace counts instructions instead of cycles.

    Parameters
    ----------
    config: the machine. dram_size: bytes. sequential: one step at a time, slow, the definition itself.
    """

    name = "functional"

    def __init__(self, config: Config, dram_size: int = 1 << 26, sequential: bool = False):
        super().__init__(dram_size)
        self.config = config
        self.pads = Scratchpads(config, sequential)
        self.tokens = dict.fromkeys(Queue, 0)
        self._decoded: tuple[bytes, list[Instruction]] = (b"", [])

    def close(self) -> None:
        pass

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False,
               max_cycles: int | None = None) -> LaunchReport:
        began = time.perf_counter()
        instructions = self._decode(self.read(insn_address, insn_count * INSTRUCTION_BYTES))
        before = dict(self.pads.counters)
        order = self._run(instructions, bases)
        counters = {k: v - before[k] for k, v in self.pads.counters.items()}
        events = None
        if trace:
            events = np.zeros(len(order), EVENT)
            for step, index in enumerate(order):
                events[index] = (instructions[index].module, step, step + 1)
        return LaunchReport(None, events, {**counters, "seconds": time.perf_counter() - began})

    def _decode(self, stream: np.ndarray) -> list[Instruction]:
        raw = stream.tobytes()
        if raw != self._decoded[0]:  # the same stream is launched again for every input of a network
            self._decoded = (raw, decode(stream, self.config))
        return self._decoded[1]

    def _run(self, instructions: list[Instruction], bases: Bases) -> list[int]:
        """Executes until FINISH; returns the order of execution."""
        waiting: dict[Module, deque[int]] = {m: deque() for m in Module}
        finish = next((k for k, i in enumerate(instructions) if i.opcode == Opcode.FINISH), None)
        if finish is None:
            raise WeftError(f"device '{self.name}'", "a stream must hold a FINISH", f"{len(instructions)} instructions without one",
                            "`weft check` on the program")
        for index, instruction in enumerate(instructions):
            waiting[instruction.module].append(index)
        order = []
        while True:
            ready = [q[0] for m, q in waiting.items() if q and self._blocked_by(m, instructions[q[0]]) is None]
            if not ready:
                raise self._deadlock(instructions, waiting)
            index = min(ready)  # in stream order wherever tokens allow it
            instruction = instructions[index]
            waiting[instruction.module].popleft()
            order.append(index)
            for flag, queue in POPS[instruction.module].items():
                self.tokens[queue] -= getattr(instruction, flag)
            self.pads.execute(index, instruction, self.dram, bases)
            for flag, queue in PUSHES[instruction.module].items():
                self.tokens[queue] += getattr(instruction, flag)
            if index == finish:
                return order

    def _blocked_by(self, module: Module, instruction: Instruction) -> str | None:
        for flag, queue in POPS[module].items():
            if getattr(instruction, flag) and not self.tokens[queue]:
                return f"waits for a token {queue.name.lower()}"
        for flag, queue in PUSHES[module].items():
            if getattr(instruction, flag) and self.tokens[queue] >= TOKEN_QUEUE_DEPTH:
                return f"waits for room in {queue.name.lower()}"
        return None

    def _deadlock(self, instructions: list[Instruction], waiting: dict[Module, deque[int]]) -> WeftError:
        who = [f"{m.name.lower()} at instruction {q[0]} ({instructions[q[0]].opcode.name}) {self._blocked_by(m, instructions[q[0]])}"
               if q else f"{m.name.lower()} has nothing left" for m, q in waiting.items()]
        return WeftError(f"device '{self.name}'", "a program must reach FINISH", "; ".join(who), "`weft check` on the program")
