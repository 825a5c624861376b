"""Runs raw programs on a device and compares every byte of DRAM; or on two, and compares every instruction's start and end too."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from weft.isa import PRESETS, Config, RawProgram, WeftError
from weft.runtime.device import Device, LaunchReport
from weft.runtime.module import Module

VTA_FIELDS = ("batch", "block_in", "block_out", "inp_bits", "wgt_bits", "out_bits", "acc_bits", "uop_buffer", "inp_buffer",
              "wgt_buffer", "acc_buffer")


def preset_like(config: Config) -> Config:
    """The preset that has the same VTA sizes (a VTA configuration does not speak of the bus or of QNT), else `config`."""
    return next((p for p in PRESETS.values() if all(getattr(p, f) == getattr(config, f) for f in VTA_FIELDS)), config)


def load_folder(folder: Path) -> Iterator[RawProgram]:
    """Every .npz of a folder in name order. Its index*.json tell each program's configuration; without one: the default."""
    folder = Path(folder)
    if not folder.is_dir():
        raise WeftError(f"folder {folder}", "raw programs are read from a folder", "no such folder", "a path to .npz files")
    configs = {}
    for index in sorted(folder.glob("index*.json")):
        try:
            listing = json.loads(index.read_text())
            config = preset_like(Config.from_vta(listing["config_name"], listing["config"]))
            configs |= {v["id"]: config for v in listing["vectors"]}
        except (ValueError, KeyError, TypeError) as error:
            raise WeftError(f"index {index}", "an index is JSON with config_name, config and vectors", f"{type(error).__name__}: {error}",
                            "the file as it came")
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise WeftError(f"folder {folder}", "raw programs are .npz files", "none", "a folder such as tests/vectors")
    for path in paths:
        yield RawProgram.load(path, configs.get(path.stem, PRESETS["default"]))


def load_module(module: Module) -> Iterator[RawProgram]:
    """Each launch of a compiled network as a raw program, on the memory as it is before the first input."""
    for index, launch in enumerate(module.launches):
        yield RawProgram(f"{module.name} launch {index}", module.config, module.stream(launch), launch.insn_address, 0, module.memory())


@dataclass
class ConformReport:
    """What `weft conform` prints. failures: (name, what differed). instructions: those whose start and end were compared."""

    passed: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    cycles: int | None = None
    seconds: float = 0.0
    instructions: int = 0

    @property
    def cycles_per_second(self) -> float | None:
        return self.cycles / self.seconds if self.cycles and self.seconds else None


def run_one(program: RawProgram, device: Device) -> tuple[str | None, int | None]:
    """(what differed, or None; cycles) of one raw program. It must carry the DRAM after."""
    report, after = _launch(program, device, trace=False)
    if program.dram_after is None:
        return "the program does not say what DRAM holds afterwards", report.cycles
    return _bytes_differ(program, after, program.dram_after), report.cycles


def run_against(program: RawProgram, device: Device, other: Device) -> tuple[str | None, int | None]:
    """(what differs between two devices, or None; cycles): DRAM afterwards, the start and the end of every instruction."""
    (report, after), (expected, expected_after) = (_launch(program, d, trace=True) for d in (device, other))
    difference = _bytes_differ(program, after, expected_after) or _events_differ(report, expected)
    if difference is None and program.dram_after is not None:
        difference = _bytes_differ(program, after, program.dram_after)
    return difference, report.cycles


def _launch(program: RawProgram, device: Device, trace: bool) -> tuple[LaunchReport, np.ndarray]:
    device.write(program.dram_base, program.dram_before)
    report = device.launch(program.insn_address, len(program.insns), trace=trace)
    return report, device.read(program.dram_base, program.dram_before.size)


def _bytes_differ(program: RawProgram, after: np.ndarray, expected: np.ndarray) -> str | None:
    wrong = np.flatnonzero(after != expected)
    if not wrong.size:
        return None
    first = int(wrong[0])
    return (f"{wrong.size} of {after.size} bytes differ, first at {program.dram_base + first:#x}: "
            f"{after[first]:#04x} instead of {expected[first]:#04x}")


def _events_differ(report: LaunchReport, expected: LaunchReport) -> str | None:
    for name in ("start", "end"):
        wrong = np.flatnonzero(report.events[name] != expected.events[name])
        if wrong.size:
            first = int(wrong[0])
            return (f"{wrong.size} of {len(report.events)} instructions {name} in another cycle, first instruction {first}: "
                    f"{report.events[name][first]} instead of {expected.events[name][first]}")
    if report.cycles != expected.cycles:
        return f"{report.cycles} cycles instead of {expected.cycles}"
    return None


def conform(programs: list[RawProgram], make_device: Callable[[Config, int], Device],
            progress: Callable[[str], None] = lambda name: None, make_other: Callable[[Config, int], Device] | None = None) -> ConformReport:
    """Runs each program on a device of its own configuration; scratchpads and tokens begin empty for each.

    make_other: a second device, with a clock as the first, that all starts and ends are compared with.
    """
    report = ConformReport()
    for program in programs:
        size = program.dram_base + program.dram_before.size
        devices = [make(program.config, size) for make in (make_device, make_other) if make]
        began = time.perf_counter()  # building a simulator is not running it
        try:
            difference, cycles = run_against(program, *devices) if make_other else run_one(program, *devices)
        except WeftError as error:
            difference, cycles = str(error), None
        finally:
            for device in devices:
                device.close()
        report.seconds += time.perf_counter() - began
        report.cycles = cycles if report.cycles is None else report.cycles + (cycles or 0)
        report.instructions += len(program.insns) if make_other and difference is None else 0
        report.passed += difference is None
        report.failed += difference is not None
        if difference is not None:
            report.failures.append((program.name, difference))
        progress(program.name)
    return report
