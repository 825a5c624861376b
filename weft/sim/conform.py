"""Runs a folder of raw programs on a device and compares every byte of DRAM."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from weft.isa import PRESETS, Config, RawProgram, WeftError
from weft.runtime.device import Device

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


@dataclass
class ConformReport:
    """What `weft conform` prints. failures: (name, what differed)."""

    passed: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    cycles: int | None = None
    seconds: float = 0.0

    @property
    def cycles_per_second(self) -> float | None:
        return self.cycles / self.seconds if self.cycles and self.seconds else None


def run_one(program: RawProgram, device: Device) -> tuple[str | None, int | None]:
    """(what differed, or None; cycles) of one raw program. It must carry the DRAM after."""
    device.write(program.dram_base, program.dram_before)
    report = device.launch(program.insn_address, len(program.insns))
    if program.dram_after is None:
        return "the program does not say what DRAM holds afterwards", report.cycles
    after = device.read(program.dram_base, program.dram_after.size)
    wrong = np.flatnonzero(after != program.dram_after)
    if not wrong.size:
        return None, report.cycles
    first = int(wrong[0])
    return (f"{wrong.size} of {after.size} bytes differ, first at {program.dram_base + first:#x}: "
            f"{after[first]:#04x} instead of {program.dram_after[first]:#04x}"), report.cycles


def conform(programs: list[RawProgram], make_device: Callable[[Config, int], Device],
            progress: Callable[[str], None] = lambda name: None) -> ConformReport:
    """Runs each program on a device of its own configuration; scratchpads and tokens begin empty for each."""
    report = ConformReport()
    for program in programs:
        device = make_device(program.config, program.dram_base + program.dram_before.size)
        began = time.perf_counter()  # building a simulator is not running it
        try:
            difference, cycles = run_one(program, device)
        except WeftError as error:
            difference, cycles = str(error), None
        finally:
            device.close()
        report.seconds += time.perf_counter() - began
        report.cycles = cycles if report.cycles is None else report.cycles + (cycles or 0)
        report.passed += difference is None
        report.failed += difference is not None
        if difference is not None:
            report.failures.append((program.name, difference))
        progress(program.name)
    return report
