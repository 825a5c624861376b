"""The micro-op buffer: every kernel once in DRAM, and a load only where a kernel is not in the buffer already."""

from dataclasses import dataclass

import numpy as np

from weft.isa import Config, Memory, Module, Opcode, encode_micro_ops

from .micro_ops import Kernel
from .tokens import DramBlock, Operation


@dataclass(slots=True, eq=False)
class Call:
    """A GEMM or ALU operation that waits for its micro-ops: `kernel` moved by `bases` (dst, src, wgt)."""

    operation: Operation
    kernel: Kernel
    bases: tuple[int, int, int]


@dataclass(slots=True, eq=False)
class _Stored:
    """A kernel in DRAM: `start` and `count` in micro-ops; `slot` is its place in the buffer, None while it has none."""

    start: int
    count: int
    slot: int | None = None


class UopBuffer:
    """Resolves calls in stream order.

    Slots are given out round the buffer, dropping what stood there: the oldest load goes first.
    """

    def __init__(self, config: Config, address: int):
        self.config, self.address = config, address
        self._words: list[np.ndarray] = []
        self._size = 0
        self._stored: dict[bytes, _Stored] = {}
        self._by_call: dict[tuple[Kernel, tuple[int, int, int]], _Stored] = {}
        self._resident: list[_Stored] = []
        self._next = 0

    def blob(self) -> np.ndarray:
        """All kernels, uint32 [n]."""
        return np.concatenate(self._words) if self._words else np.zeros(0, np.uint32)

    def resolve(self, call: Call) -> list[Operation]:
        """The call's operation with uop_bgn and uop_end set, behind a LOAD UOP if one is needed."""
        stored = self._by_call.get((call.kernel, call.bases))
        if stored is None:
            stored = self._by_call[call.kernel, call.bases] = self._store(call)
        loads = [] if stored.slot is not None else [self._load(stored, call.operation.layer)]
        call.operation.fields["uop_bgn"] = stored.slot
        call.operation.fields["uop_end"] = stored.slot + stored.count
        return [*loads, call.operation]

    def _store(self, call: Call) -> _Stored:
        words = encode_micro_ops(*(call.kernel.offsets + np.array(call.bases)).T, self.config)
        key = words.tobytes()
        if key not in self._stored:
            self._stored[key] = _Stored(self._size, words.size)
            self._words.append(words)
            self._size += words.size
        return self._stored[key]

    def _load(self, stored: _Stored, layer: int) -> Operation:
        if self._next + stored.count > self.config.uop_depth:
            self._next = 0
        begin, end = self._next, self._next + stored.count
        for other in self._resident:
            if other.slot < end and begin < other.slot + other.count:
                other.slot = None
        self._resident = [k for k in self._resident if k.slot is not None] + [stored]
        stored.slot, self._next = begin, end
        size = self.config.uop_bytes
        fields = {"memory_type": Memory.UOP, "sram_base": begin, "dram_base": self.address // size + stored.start, "y_size": 1,
                  "x_size": stored.count, "x_stride": stored.count}
        return Operation(Opcode.LOAD, fields, Module.COMPUTE, layer,
                         dram=DramBlock(self.address + stored.start * size, 1, stored.count * size, stored.count * size))
