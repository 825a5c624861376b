"""Builds the RTL into a shared library, once: what was built is kept in the cache under a hash of all it was made of."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from weft.isa import Config, WeftError
from weft.isa.files import write_atomically

from .signals import signals_header
from .toolchain import Verilator, cache_dir, find_verilator

TOP = "accelerator"  # as weft.hw.verilog names it; asking there would import Amaranth for every library that is ready
JOBS = 2
SOURCES = Path(__file__).parent


@dataclass(frozen=True)
class Flavour:
    """How a library is built. `make` are variables of Verilator's makefile."""

    name: str
    verilator: tuple[str, ...]
    cxx: str
    make: tuple[str, ...]


FAST = Flavour(
    "fast",
    ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert"),
    "-fPIC -std=c++17",
    ("OPT_FAST=-O3 -march=native", "OPT_SLOW=-O1", "OPT_GLOBAL=-O2 -march=native"),
)
TRACED = Flavour(  # waveforms, and every signal by name
    "traced",
    ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--trace-vcd", "--public-flat-rw", "--flatten",
     "-Wno-UNOPTFLAT"),  # a public vector is not split into the bits that show there is no loop
    "-fPIC -std=c++17 -DWEFT_TRACE -DWEFT_SIGNALS",
    ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"),
)
TRAINING = "-fprofile-generate -fprofile-update=single"
TRAINED = "-fprofile-use -fprofile-correction -Wno-missing-profile -Wno-coverage-mismatch -fno-semantic-interposition"
COMMON = ("--cc", "--exe", "--no-timing", "--top-module", TOP, "--prefix", "Vtop", "-Wno-lint", "-Wno-style")


def verilog_of(config: Config) -> str:
    """The machine's Verilog; kept in the cache, since making it takes seconds."""
    key = content_hash("verilog", config.fingerprint, version("amaranth"), *_package_sources("isa", "hw"))
    path = cache_dir() / f"verilog-{key}.v"
    with locked(key):
        if not path.exists():
            from weft.hw.verilog import to_verilog

            with status(f"Writing the Verilog of config '{config.name}'"):
                write_atomically(path, to_verilog(config))
    return path.read_text()


@lru_cache
def library_of(config: Config, flavour: Flavour, cache: Path) -> Path:
    """The machine's shared library in this cache folder; asked once in a process, since the hashes take milliseconds."""
    return build(verilog_of(config), flavour, name=f"config '{config.name}'", training=config if flavour is FAST else None)


def build(verilog: str, flavour: Flavour = FAST, *, name: str = TOP, training: Config | None = None) -> Path:
    """The shared library of `verilog`, whose top module is `accelerator`; `name` is what the person who waits is told.

    With `training`, the config that the Verilog is of, it is built twice: g++ sees which branches a busy machine takes, and
    the library simulates a third faster.

    Raises
    ------
    WeftError: where a tool is missing, or does not accept what it is given.
    """
    verilator = find_verilator()
    key = library_key(verilog, flavour, verilator, training)
    library = cache_dir() / f"rtl-{key}.so"
    if library.exists():
        return library
    with locked(key):
        if not library.exists():
            with status(f"Building the RTL of {name} ({flavour.name}); once"):
                _build(verilog, flavour, verilator, library, training)
    return library


def library_key(verilog: str, flavour: Flavour, verilator: Verilator, training: Config | None) -> str:
    """A name for all that a library is made of; with training, that is the program too that the compiler sees run."""
    files = sorted(SOURCES.glob("*.h")) + [SOURCES / "harness.cpp", SOURCES / "signals.py"]
    seen = (TRAINED, (SOURCES / "busy.py").read_text()) if training else ()
    return content_hash("library", verilog, verilator.version, repr(flavour), repr(COMMON), *seen, compiler(),
                        *(path.read_text() for path in files))


def _build(verilog: str, flavour: Flavour, verilator: Verilator, library: Path, training: Config | None):
    folder = Path(tempfile.mkdtemp(dir=library.parent, prefix=".build-"))
    try:
        (folder / "top.v").write_text(verilog)
        _run([str(verilator.executable), *COMMON, *flavour.verilator, "-CFLAGS", f"{flavour.cxx} -I{SOURCES}",
              "-LDFLAGS", "-shared -lgcov" if training else "-shared", "-Mdir", str(folder), "-o", library.name, str(folder / "top.v"),
              str(SOURCES / "harness.cpp")], folder, verilator)
        if flavour.name == TRACED.name:
            (folder / "signals.h").write_text(signals_header(folder, TOP))
        runtime = library.parent / f"runtime-{content_hash('runtime', verilator.version, repr(flavour), compiler())}"
        for ready in runtime.glob("*.o"):
            shutil.copyfile(ready, folder / ready.name)
        make = ["make", "-C", str(folder), "-f", "Vtop.mk", "-s", f"-j{JOBS}", *flavour.make]
        if training:
            fast = next(variable for variable in flavour.make if variable.startswith("OPT_FAST="))  # the last one given counts
            _run([*make, f"{fast} {TRAINING}"], folder, verilator)
            _run([sys.executable, "-m", f"{__package__}.busy", str(folder / library.name), json.dumps(training.to_dict())], folder, verilator)
            for made in (*folder.glob("V*.o"), *folder.glob("V*.a"), folder / "harness.o", folder / library.name):
                made.unlink(missing_ok=True)
            make.append(f"{fast} {TRAINED}")
        _run(make, folder, verilator)
        if not runtime.exists():
            _keep_runtime(folder, runtime)
        os.replace(folder / library.name, library)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep_runtime(folder: Path, runtime: Path):
    """Verilator's own objects are the same for every design, and take as long as a small one."""
    beside = folder / runtime.name
    beside.mkdir()
    for ready in folder.glob("verilated*.o"):
        ready.rename(beside / ready.name)
    with contextlib.suppress(OSError):  # another build was first
        beside.rename(runtime)


def _run(command: list[str], folder: Path, verilator: Verilator):
    run = subprocess.run(command, cwd=folder, env=verilator.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, errors="replace")
    if run.returncode:
        output = run.stdout.replace(f"{folder}{os.sep}", "")
        lines = [line for line in output.splitlines() if "rror" in line] or output.splitlines() or ["no output"]
        log = cache_dir() / "failed-build.log"
        write_atomically(log, output)
        raise WeftError(f"building the RTL with {Path(command[0]).name}", "it must exit with 0",
                        f"{run.returncode} and `{lines[0].strip()}`", f"the whole output in {log}")


@lru_cache
def compiler() -> str:
    """g++'s version and all that -march=native means on this computer: what makes a library fit here."""
    run = subprocess.run(["g++", "-march=native", "-x", "c++", "-E", "-v", "/dev/null"], capture_output=True, text=True)
    return "\n".join(line for line in run.stderr.splitlines() if "cc1plus" in line or "version" in line)


def _package_sources(*rooms: str) -> list[str]:
    package = SOURCES.parent.parent
    return [path.read_text() for room in rooms for path in sorted((package / room).rglob("*.py"))]


def content_hash(*parts: str) -> str:
    """A name for what is made of these parts and of nothing else."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part.encode())
    return digest.hexdigest()[:24]


@contextlib.contextmanager
def locked(key: str):
    """One process at a time makes what `key` names; the others wait and find it made."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    with open(folder / key, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def status(message: str):
    """A status line while something takes long, where a person looks at it."""
    console = Console(stderr=True)
    return console.status(message) if console.is_terminal else contextlib.nullcontext()
