"""What the compiled code sees: one array of 64-bit words, most of them addresses of other arrays."""

from dataclasses import dataclass

import numpy as np

from weft.isa import MEMORIES, Config
from weft.isa.table import MAX_TAPS
from weft.runtime.device import Bases

from ..scratchpads import Scratchpads, aligned
from .forms import Form
from .records import Stream

SCRATCHPADS = ("uop", "inp", "wgt", "acc", "qnt", "lut")
WORDS = (*SCRATCHPADS,
         "operand_inp", "operand_wgt", "weight_sums",  # INP and WGT as the form of the products wants them; see operands.py
         "dram", "dram_size", "bases",  # bases: int64 by memory_type
         "records", "queues", "starts", "heads", "tokens", "finish", "order", "executed",  # see dispatch.py
         "counters",
         "positions", "entries", "sorted", "slots", "groups",  # room for GEMM's plan; see gemm.py
         "columns")  # and for a weight of DEPTHWISE
COUNTERS = ("gemm_steps", "alu_steps", "acc_writes", "read_bytes", "write_bytes")


def entries_room(config: Config) -> int:
    """Micro-ops, repeated for the turns of loops, that GEMM plans at a time."""
    return max(4096, config.uop_depth)


def padded_block_in(config: Config, form: Form) -> int:
    return max(config.block_in, form.group)


@dataclass(frozen=True)
class Sizes:
    """Bytes of one element as the form keeps it."""

    inp: int  # one row of `batch`
    wgt: int

    @classmethod
    def of(cls, config: Config, form: Form) -> "Sizes":
        width = padded_block_in(config, form) * form.lane_bytes
        return cls(width, config.block_out * width)


def arrays(config: Config, form: Form) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and dtype of each array that an engine has for itself, beside the scratchpads, by its word."""
    sizes, depth, room = Sizes.of(config, form), config.acc_depth, entries_room(config)
    return {"operand_inp": ((config.inp_depth * config.batch * sizes.inp,), np.uint8),
            "operand_wgt": ((config.wgt_depth * sizes.wgt,), np.uint8),
            "weight_sums": ((config.wgt_depth, config.block_out), np.int32),
            "tokens": ((4,), np.int64), "counters": ((len(COUNTERS),), np.int64), "heads": ((3,), np.int64), "bases": ((8,), np.int64),
            "positions": ((depth * config.batch, 2), np.int32), "entries": ((room, 4), np.int32), "sorted": ((room, 2), np.int32),
            "slots": ((depth,), np.int32), "groups": ((room, 4), np.int32), "columns": ((MAX_TAPS, config.block_out), np.int16)}


class State:
    """The words, and the arrays that they point to. The scratchpads are NumPy's: Python may look at them."""

    def __init__(self, config: Config, form: Form, pads: Scratchpads):
        self.pads = pads
        self.words = np.zeros(len(WORDS), np.int64)
        self._arrays: dict[str, np.ndarray] = {}
        for name in SCRATCHPADS:
            self._point(name, getattr(pads, name))
        for name, (shape, dtype) in arrays(config, form).items():
            self._point(name, aligned(shape, dtype))
        self.tokens, self.counters, self.heads, self.bases = (self._arrays[name] for name in ("tokens", "counters", "heads", "bases"))

    @property
    def address(self) -> int:
        return self.words.ctypes.data

    def _point(self, name: str, array: np.ndarray):
        self._arrays[name] = array  # kept alive
        self.words[WORDS.index(name)] = array.ctypes.data

    def attach(self, stream: Stream, dram: np.ndarray, bases: Bases):
        """Points to a stream from its beginning, and to DRAM (uint8, contiguous)."""
        assert dram.dtype == np.uint8 and dram.flags.c_contiguous
        for memory, info in MEMORIES.items():
            self.bases[memory] = getattr(bases, info.buffer)
        self._point("dram", dram)
        self._point("records", stream.records)
        self._point("queues", stream.queues)
        self._point("starts", np.array(stream.starts, np.int64))
        self.order = np.empty(len(stream), np.int32)
        self._point("order", self.order)
        self.heads[:] = stream.starts[:3]
        finish = -1 if stream.finish is None else stream.finish
        for name, value in (("dram_size", dram.size), ("finish", finish), ("executed", 0)):
            self.words[WORDS.index(name)] = value

    @property
    def executed(self) -> np.ndarray:
        """Instructions in the order in which they ran, int32."""
        return self.order[:self.words[WORDS.index("executed")]]
