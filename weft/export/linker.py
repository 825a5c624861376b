"""The user's C compiler: what makes a library of C sources and object code, for this machine or for another."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from weft.isa import WeftError
from weft.isa.files import write_atomically
from weft.llvm.machine import ARCHITECTURES

SOURCES = Path(__file__).parent / "c"
COMPILERS = ("gcc", "cc", "clang")
ZIG = {"x86_64": ("x86_64-linux-musl",), "aarch64": ("aarch64-linux-musl",), "riscv64": ("riscv64-linux-musl",),
       "armv7": ("arm-linux-musleabihf", "-mcpu=cortex_a9")}  # targets of `zig cc`
HOW = {".so": ("-shared", "-fPIC"), ".o": ("-r", "-fPIC")}
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-g0")


def host_architecture() -> str:
    """This machine's, as weft.llvm.machine names it."""
    name = os.uname().machine.lower()
    return ARCHITECTURES.get(name, name)


def compiler(architecture: str, cc: str | None = None) -> list[str]:
    """The command that compiles and links C for an architecture. WeftError where there is none.

    cc: the user's own choice, as it would be typed; by default $CC, gcc, cc or clang for this machine, and for another one the
        `zig cc` of the Python package ziglang.
    """
    subject = f"library for {architecture}"
    own = architecture == host_architecture()
    if own:
        cc = cc or os.environ.get("CC")
    if cc:
        command = shlex.split(cc)
        if not shutil.which(command[0]):
            raise WeftError(subject, "its C compiler must be on the path", f"no {command[0]}", "another --cc")
        return command
    if own:
        found = next(filter(None, map(shutil.which, COMPILERS)), None)
        if not found:
            raise WeftError(subject, "linking needs a C compiler", f"none of {', '.join(COMPILERS)}",
                            "g++ of your system, which brings one, or --cc")
        return [found]
    if architecture not in ZIG or importlib.util.find_spec("ziglang") is None:
        raise WeftError(subject, "linking for another machine needs its C compiler", "none",
                        "the Python package ziglang (weft's extra `cross`), or --cc aarch64-linux-gnu-gcc and the like")
    return [sys.executable, "-m", "ziglang", "cc", "-target", *ZIG[architecture]]


def check_output(path: Path) -> None:
    """WeftError for a name that is no library's, or in no folder."""
    if path.suffix not in HOW:
        raise WeftError(f"library {path}", "its name ends in .so (shared) or .o (to be linked into a program)", repr(path.suffix),
                        "net.so")
    if not path.parent.is_dir():
        raise WeftError(f"library {path}", "its folder must be there", f"no {path.parent}", "mkdir")


def write_header(path: Path, text: str) -> None:
    """Writes a header, unless the same stands there."""
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text)


def link(path: Path, sources: Mapping[str, str], files: Mapping[str, bytes], command: list[str], exported: str) -> None:
    """Writes a library, beside its name and then renamed.

    exported: what a shared one shows of its functions, as 'net_*'.
    sources: texts by name; those that end in .c are compiled, and find weft's own C sources and each other.
    files: other files by name, beside the sources; object code, whose names end in .o, is linked in.
    WeftError with the compiler's own words where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        for name, content in {**{k: v.encode() for k, v in sources.items()}, **files}.items():
            (Path(folder) / name).write_bytes(content)
        objects = []
        for name in [name for name in sources if name.endswith(".c")]:
            objects.append(f"{name}.o")
            _run([*command, *FLAGS, *HOW[".so"][1:], "-I.", f"-I{SOURCES}", "-c", name, "-o", objects[-1]], folder, path)
        objects += [name for name in files if name.endswith(".o")]
        made = f"made{path.suffix}"
        (Path(folder) / "exported.map").write_text(f"{{ global: {exported}; local: *; }};\n")
        shared = ("-Wl,--version-script=exported.map", f"-Wl,-soname,{path.name}", "-s", "-pthread", "-lm")
        _run([*command, *HOW[path.suffix], *objects, *(shared if path.suffix == ".so" else ("-nostdlib",)), "-o", made], folder, path)
        write_atomically(path, (Path(folder) / made).read_bytes())


def _run(command: list[str], folder: str, path: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise WeftError(f"library {path}", "the C compiler must accept it", f"{command[0]}: {done.stderr.strip()[-2000:]}",
                        "another --cc")
