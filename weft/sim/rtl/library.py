"""One machine in a built library, through ctypes: clock, registers, DRAM, events. All of C's names are here."""

import ctypes
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from weft.isa import Module
from weft.isa.registers import REGISTERS

from ..dram import Timing


class Stop(IntEnum):
    """Why `Machine.run` came back."""

    DONE, OUT_OF_CYCLES, QUIET, FAULT = 0, 1, 2, 3


class _Timing(ctypes.Structure):
    _fields_ = [("latency", ctypes.c_uint32), ("write_latency", ctypes.c_uint32), ("rate", ctypes.c_uint32),
                ("outstanding", ctypes.c_uint32), ("stall_seed", ctypes.c_uint64)]


class _Fault(ctypes.Structure):
    _fields_ = [("rule", ctypes.c_char * 160), ("found", ctypes.c_char * 160), ("hint", ctypes.c_char * 160),
                ("cycle", ctypes.c_uint64)]


@dataclass(frozen=True)
class Fault:
    """The first rule of the bus that was broken since reset, in the parts of a WeftError; `cycle` counts from the start."""

    rule: str
    found: str
    hint: str
    cycle: int


_PROTOTYPES = {
    "weft_new": (ctypes.c_void_p,),
    "weft_free": (None, ctypes.c_void_p),
    "weft_bus_bytes": (ctypes.c_uint32,),
    "weft_attach": (None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.POINTER(_Timing)),
    "weft_reset": (None, ctypes.c_void_p),
    "weft_write_register": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32),
    "weft_read_register": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)),
    "weft_run": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64),
    "weft_cycles": (None, ctypes.c_void_p, ctypes.c_uint64),
    "weft_now": (ctypes.c_uint64, ctypes.c_void_p),
    "weft_register_write": (ctypes.c_uint64, ctypes.c_void_p),
    "weft_fault": (ctypes.POINTER(_Fault), ctypes.c_void_p),
    "weft_forget_events": (None, ctypes.c_void_p),
    "weft_events": (ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(ctypes.c_uint64))),
    "weft_open_vcd": (None, ctypes.c_void_p, ctypes.c_char_p),
    "weft_close_vcd": (None, ctypes.c_void_p),
}


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of harness.cpp's functions."""
    for name, (result, *arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Machine:
    """A model with its clock. `handle` adopts a model that another owns (PyVerilator's class)."""

    def __init__(self, library: Path | ctypes.CDLL, handle: int | None = None):
        self._lib = declare(library if isinstance(library, ctypes.CDLL) else ctypes.CDLL(str(library)))
        self._owned = handle is None
        self._handle = self._lib.weft_new() if handle is None else handle
        self._dram = None
        self.bus_bytes = self._lib.weft_bus_bytes()

    def close(self):
        if self._handle and self._owned:
            self._lib.weft_free(self._handle)
        self._handle = None

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()

    def attach(self, dram: np.ndarray, timing: Timing):
        """DRAM is `dram` itself (uint8, contiguous), not a copy."""
        assert dram.dtype == np.uint8 and dram.flags.c_contiguous
        self._dram = dram  # kept alive as long as C++ may write to it
        seed = 0 if timing.stall_seed is None else timing.stall_seed + 1
        self._lib.weft_attach(self._handle, dram.ctypes.data, dram.size, ctypes.byref(_Timing(
            timing.latency, timing.write_latency, max(1, round(timing.bandwidth * 65536)), timing.outstanding, seed)))

    def reset(self):
        self._lib.weft_reset(self._handle)

    def write_register(self, name: str, value: int) -> bool:
        """False where the accelerator gives no answer; `fault` says so too."""
        return bool(self._lib.weft_write_register(self._handle, REGISTERS[name].offset, value))

    def read_register(self, name: str) -> int | None:
        """None where the accelerator gives no answer; `fault` says so too."""
        value = ctypes.c_uint32()
        answered = self._lib.weft_read_register(self._handle, REGISTERS[name].offset, ctypes.byref(value))
        return value.value if answered else None

    def run(self, cycles: int, quiet: int) -> Stop:
        """Until irq, `cycles`, a broken rule, or `quiet` cycles with no AXI handshake and no trace pulse."""
        return Stop(self._lib.weft_run(self._handle, cycles, quiet))

    def cycles(self, count: int):
        self._lib.weft_cycles(self._handle, count)

    @property
    def now(self) -> int:
        """Cycles since the model was made."""
        return self._lib.weft_now(self._handle)

    @property
    def last_register_write(self) -> int:
        """The cycle in which the last register write was taken."""
        return self._lib.weft_register_write(self._handle)

    @property
    def fault(self) -> Fault | None:
        fault = self._lib.weft_fault(self._handle).contents
        if not fault.rule:
            return None
        return Fault(fault.rule.decode(), fault.found.decode(), fault.hint.decode(), fault.cycle)

    def forget_events(self):
        self._lib.weft_forget_events(self._handle)

    def events(self, module: Module) -> tuple[np.ndarray, np.ndarray]:
        """(starts, ends) of the module's instructions since `forget_events`, uint64, in order; ends may be fewer."""
        first = ctypes.POINTER(ctypes.c_uint64)()
        found = []
        for end in (0, 1):
            count = self._lib.weft_events(self._handle, module, end, ctypes.byref(first))
            found.append(np.ctypeslib.as_array(first, (count,)).copy() if count else np.zeros(0, np.uint64))
        return found[0], found[1]

    def open_vcd(self, path: str | Path):
        self._lib.weft_open_vcd(self._handle, str(path).encode())

    def close_vcd(self):
        self._lib.weft_close_vcd(self._handle)
