"""A launch of the model: the arrays that it works on."""

import numpy as np

from weft.isa import Config, Module
from weft.isa.table import INSTRUCTION_BYTES, micro_op_layout

from ..dram import Timing
from .dram import ONE
from .fetch import BUFFER_BEATS, FETCH_BURST
from .run import run
from .state import COMPUTE, FETCH, LOAD, LONG_AGO, MACHINE, TIMES

PAGE_BYTES = 4096  # no burst crosses a multiple of this
READ_AHEAD = 128  # beats that load and compute may have on their way
MAX_BURST = 64  # beats
FOREVER = 1 << 60


class Launch:
    """One run of a stream.

    Parameters
    ----------
    insns: INSTRUCTION [n]. config: the machine. timing: its DRAM's, without stalls. insn_address: byte address of the
    stream.
    tokens: what each queue holds, int64 [4]. uops: content of UOP, int64 [uop_depth], written.

    Members
    -------
    machine: MACHINE. times: TIMES [n].
    """

    def __init__(self, insns: np.ndarray, config: Config, timing: Timing, insn_address: int, tokens: np.ndarray,
                 uops: np.ndarray):
        self.insns, self.uops = insns, uops
        self.times = np.zeros(len(insns), TIMES)
        self.machine = s = np.zeros(1, MACHINE)[0]
        s.now, s.finished, s.instructions = 1, -1, len(insns)
        s.bus_bytes, s.acc_depth = config.bus_bits // 8, config.acc_depth
        src = micro_op_layout(config).fields["src"]
        s.src_offset, s.src_indices = src.offset, 1 << src.width
        s.beat_bits = int(s.bus_bytes).bit_length() - 1
        s.page_beats = PAGE_BYTES // s.bus_bytes
        s.latency, s.write_latency, s.outstanding = timing.latency, timing.write_latency, timing.outstanding
        s.rate = max(1, round(timing.bandwidth * ONE))
        s.arready = s.awready = s.wready = 1
        s.read_credit = s.write_credit = ONE
        s.room = 1
        s.launching, s.stream = 1, insn_address
        s.parts, s.slots = max(1, INSTRUCTION_BYTES // s.bus_bytes), max(1, s.bus_bytes // INSTRUCTION_BYTES)
        s.clients["parts"] = s.clients["slots"] = 1
        s.clients["max_burst"] = MAX_BURST
        s.clients["credits"][[COMPUTE, LOAD]] = READ_AHEAD
        s.clients["credits"][FETCH], s.clients["max_burst"][FETCH] = BUFFER_BEATS, FETCH_BURST
        s.tokens["count"] = s.tokens["reserved"] = tokens
        s.longs["cycle"] = LONG_AGO
        self.own = self._heads()

    def _heads(self) -> np.ndarray:
        """Each module's instructions in order, int64 [3, n + 1]; the gates see the first."""
        own, modules = np.zeros((len(Module), len(self.insns) + 1), np.int64), self.machine.modules
        for module in Module:
            mine = np.flatnonzero(self.insns["module"] == module)
            own[module, :mine.size] = mine
            modules["total"][module] = mine.size
            if mine.size:
                for name in ("pop_prev", "pop_next", "push_prev", "push_next"):
                    modules[name][module] = self.insns[name][mine[0]]
                modules["head"][module] = mine[0]
        return own

    def run(self, dram: np.ndarray, cycles: int = FOREVER, leaps: bool = True):
        """Runs to the end, for so many cycles at most; `dram` (uint8) is read for micro-ops."""
        run(self.machine, self.insns, self.own, self.times, self.uops, dram, cycles + 1, leaps)
