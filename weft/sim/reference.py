"""The reference device: what instructions mean, in plain NumPy. Slow; the functional device is tested against it."""

import time
import numpy as np

from weft.isa import Config, Instruction, Opcode, WeftError, decode
from weft.isa.happens_before import TokenMachine
from weft.isa.registers import Queue
from weft.isa.table import INSTRUCTION_BYTES
from weft.runtime.device import EVENT, ArrayDram, Bases, LaunchReport

from .scratchpads import Scratchpads

class ReferenceDevice(ArrayDram):
    """A `Device` without a clock: `cycles` of its reports is None, and its trace counts instructions instead of cycles.

    Parameters
    ----------
    config: the machine. dram_size: bytes. sequential: one step at a time, slower still, the definition itself.
    """

    name = "reference"

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
            events = np.zeros(len(instructions), EVENT)
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
        finish = next((k for k, i in enumerate(instructions) if i.opcode == Opcode.FINISH), None)
        if finish is None:
            raise WeftError(f"device '{self.name}'", "a stream must hold a FINISH", f"{len(instructions)} instructions without one",
                            "`weft check` on the program")
        machine, order = TokenMachine(instructions, self.tokens), []
        while (index := machine.next()) is not None:  # in stream order wherever tokens allow it
            machine.pop(index)
            self.pads.execute(index, instructions[index], self.dram, bases)
            machine.push(index)
            order.append(index)
            if index == finish:
                return order
        raise WeftError(f"device '{self.name}'", "a program must reach FINISH", machine.who_waits(), "`weft check` on the program")
