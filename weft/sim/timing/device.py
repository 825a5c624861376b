"""The timing device: the functional device's outputs, and the cycles of the RTL."""

import time

import numpy as np

from weft.isa import Config, WeftError
from weft.isa.registers import Queue
from weft.isa.table import INSTRUCTION_BYTES
from weft.runtime.device import EVENT, ArrayDram, Bases, LaunchReport

from ..dram import Timing, whole_pages
from ..functional import FunctionalDevice
from ..streams import Streams
from .decode import decode_records
from .launch import FOREVER, Launch
from .self_modifying import stored_uops
from .state import REQUESTS

COUNTERS = ("read_beats", "write_beats", "load_busy", "compute_busy", "store_busy")


class _Memory(ArrayDram):
    """DRAM for a device that computes nothing."""

    name = "timing"

    def close(self) -> None:
        pass


class TimingDevice:
    """A `Device` whose outputs are the functional device's, and whose cycles are the RTL's, without tolerance.

    Parameters
    ----------
    config: the machine. dram_size: bytes, rounded up to whole pages of 4096.
    latency, write_latency, bandwidth, outstanding: the DRAM's behaviour, as on RTL. With a bandwidth below 1 every cycle
        is walked through, a tenth as fast. There are no random stalls.
    outputs: False leaves out what is computed; only time passes, and DRAM stays as it is.

    Members
    -------
    times: of the last launch, `state.TIMES` [n]: cycles in which an instruction was fetched, began, issued its last step
        (0 where it has none) and ended; beats that it moved.

    Raises
    ------
    WeftError: for a DRAM that the model does not have.
    """

    name = "timing"

    def __init__(self, config: Config, dram_size: int = 1 << 26, *, latency: int = 16, write_latency: int = 0,
                 bandwidth: float = 1.0, outstanding: int = 64, outputs: bool = True):
        if not 0 < bandwidth <= 1:
            raise self._error("bandwidth is above 0 and up to 1, in beats a cycle", str(bandwidth), "bandwidth=1.0")
        if latency < 0 or write_latency < 0 or not 1 <= outstanding < REQUESTS // 2:
            raise self._error(f"latencies are 0 or more and outstanding is from 1 to {REQUESTS // 2 - 1}",
                              f"{latency}, {write_latency} and {outstanding}", "latency=16, write_latency=0, outstanding=64")
        self.config, self.outputs = config, outputs
        self.timing = Timing(latency, write_latency, bandwidth, outstanding)
        self.times = None
        size = whole_pages(dram_size)
        self._memory = FunctionalDevice(config, size) if outputs else _Memory(size)
        self._uops = np.zeros(config.uop_depth, np.int64)
        self._tokens = np.zeros(len(Queue), np.int64)
        self._streams = Streams(self._decode)

    @property
    def dram_size(self) -> int:
        return self._memory.dram_size

    def write(self, address: int, data: np.ndarray) -> None:
        self._memory.write(address, data)

    def read(self, address: int, size: int) -> np.ndarray:
        return self._memory.read(address, size)

    def close(self) -> None:
        self._memory.close()

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False,
               max_cycles: int | None = None) -> LaunchReport:
        """Runs a stream until FINISH; see `Device.launch`. Events count from the cycle in which the launch was written."""
        began = time.perf_counter()
        insns = self._streams(self.read(insn_address, insn_count * INSTRUCTION_BYTES), bases)
        launch = Launch(insns, self.config, self.timing, insn_address, self._tokens, self._uops)
        launch.run(self._memory.dram, FOREVER if max_cycles is None else max_cycles)
        modelled = time.perf_counter() - began
        counters = {}
        if self.outputs:
            counters = self._memory.launch(insn_address, insn_count, bases).counters
        self._check(launch, trace, max_cycles)
        self.times, self._tokens = launch.times, launch.machine.tokens["count"].copy()
        counters |= {name: int(getattr(launch.machine, name)) for name in COUNTERS}
        return LaunchReport(int(launch.machine.finished), self._events(launch) if trace else None,
                            {**counters, "model_seconds": modelled, "seconds": time.perf_counter() - began})

    def _decode(self, stream: np.ndarray, bases: Bases) -> np.ndarray:
        insns = decode_records(stream, self.config, bases)
        if stored_uops(insns, self.config):
            raise self._error("a program must not store over micro-ops that it loads", "one that does",
                              "the RTL device, which times this too")
        return insns

    def _check(self, launch: Launch, trace: bool, max_cycles: int | None):
        """WeftError for a launch that did not finish, or not altogether."""
        s = launch.machine
        if s.finished < 0 and not s.stuck:
            raise self._error(f"a launch must finish within max_cycles = {max_cycles}", f"{self._left(launch)} left",
                              "a larger max_cycles")
        if s.finished < 0:
            found = f"it stands still in cycle {int(s.now)} with {self._left(launch)} left"
            raise self._error("a program must finish", found,
                              "a push for each pop, in an order that lets every module go on; `weft check` on the program")
        if trace and (launch.times["end"] == 0).any():
            raise self._error("each instruction has one event", f"{self._left(launch)} left at FINISH",
                              "a FINISH that is the last instruction and waits for the others")

    def _left(self, launch: Launch) -> str:
        return f"{np.count_nonzero(launch.times['end'] == 0)} of {len(launch.times)} instructions"

    def _events(self, launch: Launch) -> np.ndarray:
        events = np.zeros(len(launch.times), EVENT)
        events["module"] = launch.insns["module"]
        events["start"], events["end"] = launch.times["start"], launch.times["end"]
        return events

    def _error(self, rule: str, found: str, hint: str) -> WeftError:
        return WeftError(f"device '{self.name}'", rule, found, hint)
