"""The micro-op buffer: every kernel once in DRAM, and loads only where a kernel is not in the buffer already."""

from collections.abc import Iterable, Iterator, Sequence
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
    """A kernel: `start` is its first micro-op in DRAM, None before it is there; `slot` likewise in the buffer."""

    words: np.ndarray
    start: int | None = None
    slot: int | None = None


class UopBuffer:
    """Resolves calls in stream order.

    A load also takes the kernels that are missing soon after, as far as they follow one another in DRAM; kernels are put
    there in the order in which they are first used. Slots are given out round the buffer: the oldest load is dropped first.
    """

    def __init__(self, config: Config, address: int):
        self.config, self.address = config, address
        self._blob: list[np.ndarray] = []
        self._size = 0
        self._stored: dict[bytes, _Stored] = {}
        self._by_call: dict[tuple[Kernel, tuple[int, int, int]], _Stored] = {}
        self._resident: list[_Stored] = []
        self._next = 0

    def blob(self) -> np.ndarray:
        """All kernels, uint32 [n]."""
        return np.concatenate(self._blob) if self._blob else np.zeros(0, np.uint32)

    def resolve(self, items: Sequence[Operation | Call]) -> Iterator[Operation]:
        """The operations, those of calls with uop_bgn and uop_end set and LOAD UOPs before them where needed."""
        kernels = [self._kernel(item) if isinstance(item, Call) else None for item in items]
        for position, (item, stored) in enumerate(zip(items, kernels)):
            if stored is None:
                yield item
                continue
            if stored.slot is None:
                yield self._load(self._group(k for k in kernels[position:] if k is not None), item.operation.layer)
            item.operation.fields["uop_bgn"] = stored.slot
            item.operation.fields["uop_end"] = stored.slot + stored.words.size
            yield item.operation

    def _kernel(self, call: Call) -> _Stored:
        stored = self._by_call.get((call.kernel, call.bases))
        if stored is None:
            words = encode_micro_ops(*(call.kernel.offsets + np.array(call.bases)).T, self.config)
            stored = self._stored.setdefault(words.tobytes(), _Stored(words))
            self._by_call[call.kernel, call.bases] = stored
        return stored

    def _group(self, upcoming: Iterable[_Stored]) -> list[_Stored]:
        """What one load takes: the first kernel, and others that are missing and follow it in DRAM."""
        group: list[_Stored] = []
        size = 0
        for stored in upcoming:
            if stored.slot is not None or stored in group:
                continue
            if group and size + stored.words.size > self.config.uop_depth // 2:
                break
            if stored.start is None and (not group or group[-1].start + group[-1].words.size == self._size):
                stored.start = self._size
                self._blob.append(stored.words)
                self._size += stored.words.size
            if group and stored.start != group[-1].start + group[-1].words.size:
                break
            group.append(stored)
            size += stored.words.size
        return group

    def _load(self, group: list[_Stored], layer: int) -> Operation:
        count = sum(k.words.size for k in group)
        begin = self._next if self._next + count <= self.config.uop_depth else 0
        self._next = begin + count
        for other in self._resident:
            if other.slot < self._next and begin < other.slot + other.words.size:
                other.slot = None
        slot = begin
        for stored in group:
            stored.slot = slot
            slot += stored.words.size
        self._resident = [k for k in self._resident if k.slot is not None] + group
        size, start = self.config.uop_bytes, group[0].start
        fields = {"memory_type": Memory.UOP, "sram_base": begin, "dram_base": self.address // size + start, "y_size": 1,
                  "x_size": count, "x_stride": count}
        block = DramBlock(self.address + start * size, 1, count * size, count * size)
        return Operation(Opcode.LOAD, fields, Module.COMPUTE, layer, dram=block)
