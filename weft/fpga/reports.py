"""What yosys's log and nextpnr's report say of a placed and routed accelerator."""

import dataclasses
import json
import re
from dataclasses import dataclass

from weft.isa import WeftError

RESOURCES = {"TRELLIS_COMB": "LUT4", "TRELLIS_FF": "FF", "MULT18X18D": "DSP 18x18", "DP16KD": "block RAM 18 Kbit",
             "TRELLIS_RAMW": "LUT RAM 16x4"}
"""nextpnr's names, and those that people know. A carry takes LUTs, and a LUT RAM takes them beside its own."""
STORES = {"$__DP16KD_": "block RAM", "$__PDPW16KD_": "block RAM", "$__TRELLIS_DPR16X4_": "LUT RAM"}
REGISTERS = "registers"  # what yosys makes of a memory that has no place elsewhere


@dataclass(frozen=True)
class Resource:
    """How many of something are taken, the harness's included, and how many the device has."""

    used: int
    available: int


@dataclass(frozen=True)
class Hop:
    """A step of a path: through `cell`, or over the net to it, `ns` nanoseconds. kind: clk-to-q, logic, routing or setup."""

    kind: str
    cell: str
    ns: float


@dataclass(frozen=True)
class FmaxReport:
    """A measurement.

    Parameters
    ----------
    part: what was measured, "core" or "accelerator".
    fmax_mhz: the highest clock, in MHz. path: what sets it, from a register to a register.
    resources: by name. harness_registers: the FF among them that are not the accelerator's.
    memories: how many memories became what, by name (numbers as `*`) and kind of store.
    seconds: that the measurement took.
    """

    config: str
    part: str
    device: str
    seed: int
    fmax_mhz: float
    resources: dict[str, Resource]
    harness_registers: int
    memories: dict[str, dict[str, int]]
    path: list[Hop]
    seconds: float

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    def ns(self, kind: str) -> float:
        """Of the path, in nanoseconds: of one kind of hop."""
        return sum(hop.ns for hop in self.path if hop.kind == kind)


def read_reports(yosys_log: str, nextpnr_report: str, **known) -> FmaxReport:
    """The measurement of yosys's log and nextpnr's --report; `known` are the fields that neither has.

    Raises
    ------
    WeftError: where there is not one clock, or no path of it.
    """
    report = json.loads(nextpnr_report)
    if len(report["fmax"]) != 1:
        raise WeftError("nextpnr's report", "the accelerator has one clock", f"{len(report['fmax'])}",
                        "a top with one clock domain")
    (clock, frequency), = report["fmax"].items()
    ends = f"posedge {clock}"
    path = next((p["path"] for p in report["critical_paths"] if p["from"] == p["to"] == ends), None)
    if path is None:
        raise WeftError("nextpnr's report", "a path leads from register to register", f"none at {clock}",
                        "an accelerator with registers")
    hops = [Hop(hop["type"], hop["to"]["cell"], hop["delay"]) for hop in path]
    used = {name: Resource(**report["utilization"][key]) for key, name in RESOURCES.items() if key in report["utilization"]}
    return FmaxReport(fmax_mhz=frequency["achieved"], resources=used, memories=memories(yosys_log), path=hops, **known)


def memories(yosys_log: str) -> dict[str, dict[str, int]]:
    """What yosys made of the memories: {name: {kind of store: how many}}."""
    found: dict[str, dict[str, int]] = {}
    for direct, name, via in re.findall(r"^(mapping|using FF mapping for) memory (\S+?)(?: via (\S+))?$", yosys_log, re.M):
        kind = STORES.get(via, via) if direct == "mapping" else REGISTERS
        stores = found.setdefault(re.sub(r"_\d+(?=_|$)", "_*", name.split(".", 2)[-1]), {})
        stores[kind] = stores.get(kind, 0) + 1
    return {name: found[name] for name in sorted(found)}
