"""A device of C's interface as Python's `Device`, so that whatever tests a device tests it too."""

import ctypes
import dataclasses
from pathlib import Path

import numpy as np

from weft.isa import Config, WeftError
from weft.runtime.device import Bases, LaunchReport

ADDRESS = ctypes.c_uint64


class CBases(ctypes.Structure):
    _fields_ = [(name, ADDRESS) for name in ("uop", "inp", "wgt", "acc", "out", "qnt", "lut")]


class Struct(ctypes.Structure):
    """weft_device."""

    _fields_ = [("context", ctypes.c_void_p), ("fingerprint", ctypes.c_uint32), ("dram_size", ADDRESS),
                ("write", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ADDRESS, ctypes.c_void_p, ADDRESS)),
                ("read", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ADDRESS, ctypes.c_void_p, ADDRESS)),
                ("launch", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ADDRESS, ctypes.c_uint32, ctypes.POINTER(CBases))),
                ("message", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)), ("close", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


class CDevice:
    """The functional device of a library of `export_device`."""

    name = "functional in C"

    def __init__(self, library: Path, config: Config, dram_size: int = 1 << 26):
        self.config, self.dram_size, self.struct = config, dram_size, Struct()
        self._library = ctypes.CDLL(str(library))
        self._check(self._library.weft_functional_open(ctypes.byref(self.struct), ADDRESS(dram_size)))

    def _check(self, status: int):
        if status:
            words = self.struct.message(self.struct.context) if self.struct.context else b"not opened"
            raise WeftError("device of C", "a call succeeds", f"status {status}: {words.decode()}", "")

    def write(self, address: int, data: np.ndarray) -> None:
        data = np.ascontiguousarray(data)
        self._check(self.struct.write(self.struct.context, address, data.ctypes.data, data.nbytes))

    def read(self, address: int, size: int) -> np.ndarray:
        data = np.empty(size, np.uint8)
        self._check(self.struct.read(self.struct.context, address, data.ctypes.data, size))
        return data

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False, max_cycles: int | None = None):
        c_bases = CBases(**dataclasses.asdict(bases))
        self._check(self.struct.launch(self.struct.context, insn_address, insn_count, ctypes.byref(c_bases)))
        return LaunchReport(None)

    def close(self) -> None:
        self.struct.close(self.struct.context)
