"""The engine: instructions as machine code, made for one config by LLVM from kernels that are written here in Python.

What it computes is defined by weft/sim/scratchpads.py in plain NumPy, whose arrays it works on; tests compare the two. Where
an instruction cannot run, the NumPy meaning is asked why, so that both refuse alike.
"""

import numpy as np

from weft.isa import Config, decode
from weft.runtime.device import Bases

from ..scratchpads import Scratchpads
from .compiled import code_for
from .dispatch import FINISHED, STUCK
from .forms import choose, forms
from .records import Stream, decode_stream
from .state import COUNTERS, State

__all__ = ["FINISHED", "STUCK", "Engine", "Stream", "decode_stream", "forms"]


class Engine:
    """Scratchpads, and machine code that runs instructions on them and on a DRAM.

    >>> engine = Engine(config)                               # doctest: +SKIP
    >>> stream = decode_stream(insns, config)                 # doctest: +SKIP
    >>> engine.begin(stream, dram, Bases())                   # doctest: +SKIP
    >>> engine.execute([0, 1, 2])       # these instructions, in this order, whatever their tokens     # doctest: +SKIP

    Parameters
    ----------
    form: one of `forms(config)`, how the CPU multiplies; by default the fastest that this CPU has.

    Attributes
    ----------
    pads: Scratchpads, as they are after what ran last; may be written before `begin`. tokens: int64 [4] by Queue.
    """

    def __init__(self, config: Config, form: str | None = None):
        self.config, self.form = config, choose(config, form)
        self.pads = Scratchpads(config)
        self._state = State(config, self.form, self.pads)
        self._code = code_for(config, self.form)
        self.tokens = self._state.tokens

    @property
    def counters(self) -> dict[str, int]:
        """gemm_steps, alu_steps, acc_writes, read_bytes and write_bytes since the engine was made."""
        return dict(zip(COUNTERS, self._state.counters.tolist()))

    def begin(self, stream: Stream, dram: np.ndarray, bases: Bases):
        """Takes up a stream at its beginning. dram: uint8, contiguous, not moved as long as the stream runs."""
        self._stream, self._dram, self._bases = stream, dram, bases
        self._state.attach(stream, dram, bases)
        self._code.prepare(self._state.address)

    def execute(self, indices):
        """Runs instructions of the stream one after the other, whatever their tokens. WeftError where one cannot run."""
        indices = np.ascontiguousarray(indices, np.int32)
        done = self._code.execute(self._state.address, indices.ctypes.data, indices.size)
        if done < indices.size:
            self.refuse(int(indices[done]))

    def run(self) -> int:
        """Runs the stream by its tokens: FINISHED at FINISH, STUCK where no module can go on. WeftError where an instruction
        cannot run."""
        outcome = self._code.run(self._state.address)
        if outcome >= 0:
            self.refuse(outcome)
        return outcome

    @property
    def executed(self) -> np.ndarray:
        """Indices of the instructions that `run` ran, in their order, int32."""
        return self._state.executed

    @property
    def heads(self) -> list[list[int]]:
        """What is left of each module's instructions, load, compute, store: indices in order."""
        s = self._stream
        return [s.queues[head:end].tolist() for head, end in zip(self._state.heads, s.starts[1:])]

    def refuse(self, index: int):
        """Raises the WeftError of an instruction that the machine code would not run: the NumPy meaning says why."""
        instruction = decode(self._stream.raw[index:index + 1], self.config)[0]
        self.pads.execute(index, instruction, self._dram, self._bases)
        raise AssertionError(f"instruction {index} ({instruction.opcode.name}) runs in NumPy, but not in machine code")
