"""What a run says of itself: whole-network figures, and a row for each layer."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .account import Account, accounts
from .device import LaunchReport
from .module import Launch, Module


@dataclass
class LayerReport:
    """One operator of a run. cycles: None but on devices with a clock; seconds: None but on host and CPU (on a CPU without a
    counter that every program may read, None too);
    reason: as of the module's operator.

    Layers overlap on the accelerator. The cycles of a layer are those that the compute module spends on its instructions or
    waits for them, so that they add up to the launch; `causes` says which went to what (stalls.CAUSES), and adds up to them.
    bytes_read, bytes_written: of DRAM, instructions included; None as cycles.
    """

    name: str
    op: str
    where: str
    shape: tuple[int, ...]
    macs: int
    cycles: int | None = None
    utilisation: float | None = None
    seconds: float | None = None
    reason: str = ""
    causes: dict[str, int] | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None


@dataclass
class RunReport:
    """One run of a module. utilisation = macs on the accelerator / (macs a cycle x cycles); bit_exact: every output
    byte equals the integer reference's, None if it was not compared; agrees: as agreement.compare says, likewise; difference:
    the largest in an output of real numbers, as a part of that output's largest value; packing: seconds that bringing tensors to the device's
    layout and back took, views included; accounts: one a launch, where the device has a clock. Accounts, and what layers took by
    them, are made when someone asks: they take longer than the timing device does."""

    device: str
    config: str
    rows: list[LayerReport]  # a run adds to `layers`
    macs: int
    cycles: int | None = None
    utilisation: float | None = None
    seconds: float = 0.0
    bit_exact: bool | None = None
    agrees: bool | None = None
    difference: float | None = None
    packing: float = 0.0
    counters: dict[str, float] = field(default_factory=dict)
    launches: list[tuple[Launch, LaunchReport]] = field(default_factory=list)
    _clocked: Module | None = None  # the module of a finished run, where the device has a clock

    @property
    def layers(self) -> list[LayerReport]:
        """A row for each operator, in the module's order."""
        if self._clocked is not None:
            _ = self.accounts  # making them fills in what the rows have of them
        return self.rows

    @cached_property
    def accounts(self) -> list[Account]:
        if self._clocked is None:
            return []
        found = accounts(self._clocked, self.launches)
        _fill(self.rows, found, self._clocked.config.macs_per_cycle)
        return found

    @property
    def accelerated(self) -> list[LayerReport]:
        """The layers of the accelerator, in the order of the launches' operators."""
        return [layer for layer in self.layers if layer.where == "accel"]

    def to_dict(self, outputs: dict[str, np.ndarray]) -> dict:
        """For JSON: every figure, and the outputs with name, shape, dtype and values."""
        return {
            "device": self.device, "config": self.config, "cycles": self.cycles, "macs": self.macs,
            "utilisation": self.utilisation, "bit_exact": self.bit_exact, "agrees": self.agrees,
            "difference": self.difference, "seconds": self.seconds, "packing": self.packing,
            "counters": self.counters,
            "outputs": [{"name": k, "shape": list(v.shape), "dtype": str(v.dtype), "values": v.reshape(-1).tolist()}
                        for k, v in outputs.items()],
            "layers": [{**vars(layer), "shape": list(layer.shape)} for layer in self.layers],
        }


def finish(report: RunReport, module: Module):
    """Fills in the totals; where the device has a clock, the rest follows from the launches when someone asks."""
    cycles = [launch_report.cycles for _, launch_report in report.launches]
    if cycles and None not in cycles:
        report.cycles = sum(cycles)
        report.utilisation = sum(layer.macs for layer in report.accelerated) / (module.config.macs_per_cycle * report.cycles)
        report._clocked = module
    for _, launch_report in report.launches:
        for key, value in launch_report.counters.items():
            report.counters[key] = report.counters.get(key, 0) + value


def _fill(rows: list[LayerReport], found: list[Account], macs_per_cycle: int):
    """What the accelerator's layers took, by the accounts of the launches."""
    layers = (layer for layer in rows if layer.where == "accel")
    for account in found:
        parts = zip(range(len(account.launch.operators)), account.read, account.sums("written"))
        for (position, read, written), layer in zip(parts, layers):
            layer.causes, layer.bytes_read, layer.bytes_written = account.stalls(position), read, written
            layer.cycles = sum(layer.causes.values())
            layer.utilisation = layer.macs / (macs_per_cycle * layer.cycles) if layer.cycles else None
