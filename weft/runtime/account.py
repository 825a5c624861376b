"""The account of a launch: its instructions with what they had to do, and where every cycle of the three modules went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.isa import Instruction, Module, decode
from weft.isa.table import INSTRUCTION_BYTES

from .device import LaunchReport
from .module import Launch
from .module import Module as Compiled
from .stalls import CAUSES, CODES, WAITS, WAITS_FOR, segments
from .work import Work, work


@dataclass(frozen=True)
class Account:
    """One launch of a run. instructions, works, layers: one each an instruction (`layers`: positions in launch.operators).

    segments: array of SEGMENT, None where the device has no clock. began: cycles of the launches before it.
    """

    launch: Launch
    report: LaunchReport
    instructions: list[Instruction]
    works: list[Work]
    segments: np.ndarray | None
    began: int = 0

    @cached_property
    def by_layer(self) -> dict[Module, np.ndarray]:
        """Cycles by layer and cause, int64 [operators, len(CAUSES)], for each module; in all, the launch's cycles."""
        assert self.segments is not None
        tables = {}
        for module in Module:
            own = self.segments[self.segments["module"] == module]
            tables[module] = np.zeros((len(self.launch.operators), len(CAUSES)), np.int64)
            np.add.at(tables[module], (self.launch.layers[own["instruction"]], own["cause"]), own["end"] - own["start"])
        return tables

    def stalls(self, layer: int, module: Module = Module.COMPUTE) -> dict[str, int]:
        """Cycles of a module for a layer by cause; causes that took none are left out."""
        return {cause: int(count) for cause, count in zip(CAUSES, self.by_layer[module][layer]) if count}

    def behind(self, layer: int, giver: Module) -> dict[str, int]:
        """What `giver` (load or store) did, by cause, while the compute module waited for its token for a layer."""
        return {cause: int(count) for cause, count in zip(CAUSES, self._behind[giver][layer]) if count}

    @cached_property
    def _behind(self) -> dict[Module, np.ndarray]:
        """Cycles by layer and cause of the giver, int64 [operators, len(CAUSES)]; in all, the waits for it."""
        assert self.segments is not None
        tables = {}
        for giver in (Module.LOAD, Module.STORE):
            theirs = self.segments[self.segments["module"] == giver]
            waits = self.segments[(self.segments["module"] == Module.COMPUTE)
                                  & (self.segments["cause"] == CODES[WAITS_FOR[giver]])]
            first = np.searchsorted(theirs["start"], waits["start"], "right") - 1  # theirs cover every cycle
            count = np.searchsorted(theirs["start"], waits["end"], "left") - first
            mine = waits[np.repeat(np.arange(len(waits)), count)]
            beside = theirs[np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())]
            cycles = np.minimum(mine["end"], beside["end"]) - np.maximum(mine["start"], beside["start"])
            tables[giver] = np.zeros((len(self.launch.operators), len(CAUSES)), np.int64)
            np.add.at(tables[giver], (self.launch.layers[mine["instruction"]], beside["cause"]), cycles)
        return tables

    def sums(self, field: str) -> list[int]:
        """A field of `Work` summed by layer."""
        values = np.array([getattr(w, field) for w in self.works], np.int64)
        return np.bincount(self.launch.layers, values, len(self.launch.operators)).astype(np.int64).tolist()

    @property
    def read(self) -> list[int]:
        """Bytes read from DRAM by layer, instructions included."""
        fetched = np.bincount(self.launch.layers, minlength=len(self.launch.operators)) * INSTRUCTION_BYTES
        return [data + int(stream) for data, stream in zip(self.sums("read"), fetched)]


def account(module: Compiled, launch: Launch, report: LaunchReport, began: int = 0) -> Account:
    """The account of one launch of a module."""
    instructions = decode(module.stream(launch), module.config)
    works = [work(i, module.config) for i in instructions]
    found = None
    if report.cycles is not None and report.events is not None:
        found = segments(instructions, works, report.events, report.cycles)
    return Account(launch, report, instructions, works, found, began)


def main_wait(stalls: Mapping[str, int]) -> tuple[str, int] | None:
    """The wait that took most cycles, and how many; None where there was none."""
    waits = {cause: count for cause, count in stalls.items() if cause in WAITS and cause != "done"}
    cause = max(waits, key=waits.__getitem__, default=None)
    return None if cause is None else (cause, waits[cause])


def accounts(module: Compiled, launches: Sequence[tuple[Launch, LaunchReport]]) -> list[Account]:
    """The accounts of a run's launches, one after the other; on a device with a clock a run has them in its report."""
    found: list[Account] = []
    began = 0
    for launch, launch_report in launches:
        found.append(account(module, launch, launch_report, began))
        began += launch_report.cycles or 0
    return found
