"""The timing device against RTL, everywhere: `python -m tests.agreement [vectors|random|networks ...]`, `make agreement`.

Programs: all of tests/vectors, random ones, the launches of whole networks. Each runs at every read latency and bus width,
on both devices; the start and the end of every instruction, all cycles and every byte of DRAM are compared. What was
compared stands in a file under build/agreement, so that a run that was stopped goes on where it was, and one after a change
of the machine, the model or the programs begins anew.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.conformance import programs
from tests.conftest import ROOT
from tests.random_programs import random_program
from weft.bench import networks
from weft.compiler.pipeline import compile
from weft.isa import PRESETS, Config, RawProgram, WeftError
from weft.runtime.device import open_device
from weft.sim.conform import load_module, run_against
from weft.sim.rtl.build import content_hash

LATENCIES = (0, 16, 64)
WIDTHS = (64, 128)
LENGTHS = (16, 60, 4)  # instructions of random programs, in turn
PROGRAMS = 10_000  # random ones of the default configuration; of each other one a tenth
AT_ONCE = 500  # random programs between two lines of the file
FOLDER = ROOT / "build" / "agreement"


@dataclass(frozen=True)
class Piece:
    """Some programs of one machine, and a name for what they are made of: with the same `source` they are the same."""

    kind: str
    name: str
    config: Config
    make: Callable[[], Iterable[RawProgram]]
    source: Callable[[], str]


@dataclass(frozen=True)
class Result:
    """What a piece gave at all latencies. runs: programs times latencies. differ: what differs, by program and latency."""

    key: str
    kind: str
    name: str
    config: str
    bus_bits: int
    latencies: tuple[int, ...]
    programs: int
    runs: int
    instructions: int
    cycles: int
    seconds: float
    differ: tuple[str, ...]


def pieces(kinds: Iterable[str] = (), count: int = PROGRAMS, widths: Iterable[int] = WIDTHS) -> Iterator[Piece]:
    """All pieces of these kinds (of KINDS; all, where none is named), `count` random programs of the default machine."""
    chosen = tuple(kinds) or tuple(KINDS)
    for kind in chosen:
        for bits in widths:
            yield from KINDS[kind](bits, count)


def _wide(config: Config, bits: int) -> Config:
    if config.bus_bits == bits:
        return config
    return dataclasses.replace(config, name=f"{config.name}, {bits} bits", bus_bits=bits)


def _vectors(bits: int, count: int) -> Iterator[Piece]:
    for preset in PRESETS.values():
        config, own = _wide(preset, bits), [p for p in programs() if p.config == preset]
        made = [dataclasses.replace(program, config=config) for program in own]
        yield Piece("vectors", preset.name, config, lambda made=made: made, lambda made=made: _digest(made))


def _random(bits: int, count: int) -> Iterator[Piece]:
    for preset in PRESETS.values():
        config, stop = _wide(preset, bits), count if preset.name == "default" else count // 10
        for first in range(0, stop, AT_ONCE):
            seeds = range(first, min(first + AT_ONCE, stop))
            yield Piece("random", f"{preset.name}, seeds {seeds.start} to {seeds.stop - 1}", config,
                        lambda config=config, seeds=seeds: (_random_program(config, seed) for seed in seeds), _generator)


def _random_program(config: Config, seed: int) -> RawProgram:
    return random_program(config, seed, LENGTHS[seed % len(LENGTHS)])


def _networks(bits: int, count: int) -> Iterator[Piece]:
    config = _wide(PRESETS["default"], bits)
    for name in networks.NETWORKS:
        made = cache(lambda name=name: list(load_module(compile(networks.load(name), config))))
        yield Piece("networks", name, config, made, lambda made=made: _digest(made()))


KINDS = {"vectors": _vectors, "networks": _networks, "random": _random}


def _digest(made: Iterable[RawProgram]) -> str:
    return content_hash(*(array.tobytes().hex() for program in made for array in (program.insns, program.dram_before)))


@cache
def _generator() -> str:
    files = (ROOT / "tests" / "random_programs.py", ROOT / "weft" / "compiler" / "tokens.py")
    return content_hash(*(file.read_text() for file in files), str(LENGTHS))


@cache
def _machine() -> str:
    """A name for the hardware and the model: all that decides a cycle."""
    found = [path for room in ("isa", "hw", "sim") for path in sorted((ROOT / "weft" / room).rglob("*"))]
    return content_hash(*(path.read_text() for path in found if path.suffix in (".py", ".cpp", ".h")))


def key(piece: Piece, latencies: tuple[int, ...]) -> str:
    """A name for all that the piece's result depends on."""
    return content_hash(_machine(), piece.kind, piece.name, piece.config.fingerprint, str(latencies), piece.source())


def compare(piece: Piece, latencies: tuple[int, ...]) -> Result:
    """Runs a piece's programs on both devices."""
    began, count, instructions, cycles, differ = time.perf_counter(), 0, 0, 0, []
    for program in piece.make():
        count += 1
        for latency in latencies:
            difference, taken = _both(program, latency)
            instructions, cycles = instructions + len(program.insns), cycles + (taken or 0)
            if difference is not None:
                differ.append(f"{program.name} at latency {latency}: {difference}")
    return Result(key(piece, latencies), piece.kind, piece.name, piece.config.name, piece.config.bus_bits, latencies, count,
                  count * len(latencies), instructions, cycles, time.perf_counter() - began, tuple(differ))


def _both(program: RawProgram, latency: int) -> tuple[str | None, int | None]:
    size = program.dram_base + program.dram_before.size
    devices = [open_device(name, program.config, size, latency=latency) for name in ("timing", "rtl")]
    try:
        return run_against(program, *devices)
    except WeftError as error:
        return str(error), None
    finally:
        for device in devices:
            device.close()


def run(wanted: Iterable[Piece], latencies: tuple[int, ...], file: Path,
        tell: Callable[[str], None] = lambda line: None) -> list[Result]:
    """Results of all pieces: those that the file has, and the others, which are written to it one by one. What differed is
    run again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    known = {made["key"]: Result(**{**made, "latencies": tuple(made["latencies"]), "differ": tuple(made["differ"])})
             for made in map(json.loads, lines)}
    found = []
    for piece in wanted:
        result = known.get(key(piece, latencies))
        if result is None or result.differ:
            result = compare(piece, latencies)
            with file.open("a") as out:
                out.write(json.dumps(dataclasses.asdict(result)) + "\n")
        found.append(result)
        tell(f"{result.kind} {result.name}, {result.bus_bits} bits: {result.runs:,} runs, "
             f"{result.instructions:,} instructions, {len(result.differ)} differ, {result.seconds:.0f} s")
        for line in result.differ[:3]:
            tell(f"  {line}")
    return found


def table(results: Iterable[Result]) -> Table:
    """A row for each kind and bus width."""
    rows: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        rows.setdefault((result.kind, result.bus_bits), []).append(result)
    shown = Table(title="timing device against RTL", title_justify="left")
    for column in ("programs", "bus", "read latency", "number", "runs", "instructions", "cycles", "runs that differ"):
        shown.add_column(column, justify="left" if column == "programs" else "right")
    for (kind, bits), some in rows.items():
        latencies = sorted({latency for result in some for latency in result.latencies})
        counts = [sum(getattr(r, name) for r in some) for name in ("programs", "runs", "instructions", "cycles")]
        shown.add_row(kind, str(bits), ", ".join(map(str, latencies)), *(f"{n:,}" for n in counts),
                      f"{sum(len(r.differ) for r in some):,}")
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description="The timing device against RTL: every start and end, everywhere.")
    parser.add_argument("kinds", nargs="*", default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--programs", type=int, default=PROGRAMS, help="random ones of the default configuration")
    parser.add_argument("--latency", type=int, nargs="+", default=LATENCIES)
    parser.add_argument("--width", type=int, nargs="+", default=WIDTHS, help="of the bus, in bits")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"no such programs: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    console = Console(width=140)
    wanted = pieces(options.kinds, options.programs, options.width)
    results = run(wanted, tuple(options.latency), FOLDER / "results.jsonl", lambda line: print(line, flush=True))
    console.print(table(results))
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    console.print(f"commit {commit.stdout.strip() or 'unknown'}", highlight=False)
    return int(any(result.differ for result in results))


if __name__ == "__main__":
    sys.exit(main())
