"""The functional device: what a program computes, with no clock, as fast as this CPU can."""

import time

import numpy as np

from weft.isa import Config, WeftError, decode
from weft.isa.happens_before import TokenMachine
from weft.isa.registers import Queue
from weft.isa.table import INSTRUCTION_BYTES
from weft.runtime.device import EVENT, ArrayDram, Bases, LaunchReport

from .engine import STUCK, Engine, Stream, decode_stream
from .streams import Streams


class FunctionalDevice(ArrayDram):
    """A `Device` without a clock, whose modules take turns by their tokens alone: `cycles` of its reports is None, and its
    trace counts instructions instead of cycles.

    Parameters
    ----------
    config: the machine. dram_size: bytes.
    engine: one of `weft.sim.engine.forms(config)`, how the CPU multiplies; by default the fastest that this CPU has.
    """

    name = "functional"

    def __init__(self, config: Config, dram_size: int = 1 << 26, engine: str | None = None):
        super().__init__(dram_size)
        self.config = config
        self.engine = Engine(config, engine)
        self.pads = self.engine.pads
        self._streams = Streams(lambda raw: decode_stream(raw.copy(), config))

    def close(self) -> None:
        pass

    @property
    def tokens(self) -> dict[Queue, int]:
        """What is left in each queue."""
        return dict(zip(Queue, self.engine.tokens.tolist()))

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False,
               max_cycles: int | None = None) -> LaunchReport:
        began = time.perf_counter()
        stream = self._stream(insn_address, insn_count)
        if stream.finish is None:
            raise self._error("a stream must hold a FINISH", f"{len(stream)} instructions without one")
        before = self.engine.counters
        self.engine.begin(stream, self.dram, bases)
        if self.engine.run() == STUCK:
            raise self._error("a program must reach FINISH", self._who_waits(stream))
        counters = {k: v - before[k] for k, v in self.engine.counters.items()}
        events = self._events(stream) if trace else None
        return LaunchReport(None, events, {**counters, "seconds": time.perf_counter() - began})

    def _error(self, rule: str, found: str) -> WeftError:
        return WeftError(f"device '{self.name}'", rule, found, "`weft check` on the program")

    def _stream(self, address: int, count: int) -> Stream:
        size = count * INSTRUCTION_BYTES
        self._check(address, size)
        return self._streams(self.dram[address:address + size])

    def _events(self, stream: Stream) -> np.ndarray:
        """An event for each instruction of the stream: when it ran, counted in instructions; zeros where it did not."""
        order = self.engine.executed
        events = np.zeros(len(stream), EVENT)
        events["module"][order] = stream.modules[order]
        events["start"][order] = np.arange(order.size)
        events["end"][order] = np.arange(1, order.size + 1)
        return events

    def _who_waits(self, stream: Stream) -> str:
        machine = TokenMachine(decode(stream.raw, self.config), self.tokens)
        for waiting, left in zip(machine.waiting.values(), self.engine.heads):
            waiting.clear()
            waiting.extend(left)
        return machine.who_waits()
