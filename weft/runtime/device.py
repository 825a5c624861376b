"""The one interface of every device: functional, cycle-exact, RTL, board. Runtime code is the same on all of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from weft.isa import Config, WeftError

EVENT = np.dtype([("module", "u1"), ("start", "<u8"), ("end", "<u8")])


@dataclass(frozen=True)
class Bases:
    """Byte addresses that the machine adds to the DRAM addresses of LOAD and STORE. Each is a multiple of its element."""

    uop: int = 0
    inp: int = 0
    wgt: int = 0
    acc: int = 0
    out: int = 0
    qnt: int = 0
    lut: int = 0


@dataclass
class LaunchReport:
    """What one launch did.

    cycles: from launch to done, None where the device has no clock.
    events: array of EVENT, one an instruction in stream order (cycle in which it began, cycle in which it was done), or
        None where no trace was asked for or the device records none.
    counters: registers by name (gemm_steps, alu_steps, read_beats, ...), and `seconds` on the wall clock.
    """

    cycles: int | None
    events: np.ndarray | None = None
    counters: dict[str, float] = field(default_factory=dict)


class Device(Protocol):
    """A machine with DRAM. Addresses are bytes from 0; scratchpads and left-over tokens survive from launch to launch."""

    name: str
    config: Config
    dram_size: int  # bytes

    def write(self, address: int, data: np.ndarray) -> None:
        """Copies `data` (any dtype, C order) into DRAM. WeftError if it does not lie within."""

    def read(self, address: int, size: int) -> np.ndarray:
        """`size` bytes of DRAM, uint8, a copy. WeftError if they do not lie within."""

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False,
               max_cycles: int | None = None) -> LaunchReport:
        """Runs a stream until FINISH. WeftError if it does not finish (and who waits for whom), or leaves DRAM."""

    def close(self) -> None:
        """Gives back what the device holds. It is not used after this."""


class ArrayDram:
    """DRAM as a NumPy array: the half of `Device` that the simulators share."""

    def __init__(self, size: int):
        self.dram = np.zeros(size, np.uint8)

    @property
    def dram_size(self) -> int:
        return self.dram.size

    def _check(self, address: int, size: int):
        if address < 0 or address + size > self.dram.size:
            raise WeftError(f"device '{self.name}'", "an access must lie within DRAM",
                            f"{size} bytes at {address:#x} of {self.dram.size:#x}", "a device with more dram_size")

    def write(self, address: int, data: np.ndarray) -> None:
        data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self._check(address, data.size)
        self.dram[address:address + data.size] = data

    def read(self, address: int, size: int) -> np.ndarray:
        self._check(address, size)
        return self.dram[address:address + size].copy()


# Devices by name. The rooms that build them stand below this one, so they are entered from weft/__init__.py.
DEVICES: dict[str, Callable[..., Device]] = {}


def open_device(name: str, config: Config, dram_size: int, **options) -> Device:
    """A new device by its name. WeftError for a name that is none, or an option that the device does not have."""
    if name not in DEVICES:
        raise WeftError(f"device '{name}'", f"a device is one of {', '.join(DEVICES)}", repr(name), "one of these names")
    try:
        return DEVICES[name](config, dram_size=dram_size, **options)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise WeftError(f"device '{name}'", "an option must be one that the device has", str(error), "leaving it out")
