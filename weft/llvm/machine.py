"""CPUs as LLVM knows them: forms of machine code, which of them a CPU can run, object code out of IR, and its way into
memory.

An instruction that a CPU lacks ends the process, so a form lists all that it uses, and is offered only where each feature is
there. A form's object code is the same wherever it is made.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from weft.isa import WeftError
from weft.isa.files import write_atomically


@dataclass(frozen=True)
class Form:
    """One kind of machine code.

    features: names that LLVM has for what the CPU must have. vectors, vector_bits: its registers of vectors.
    dot: how products of bytes are summed: "vpdpbusd" (four at a time), "pmaddwd" (pairs of 16 bits), "widen" (plain IR).
    fma: whether a * b + c of floats is one instruction, rounded once. abi: LLVM's name, where a triple has several.
    """

    name: str
    triple: str
    features: tuple[str, ...]
    vectors: int
    vector_bits: int
    dot: str
    fma: bool
    abi: str = ""

    @property
    def architecture(self) -> str:
        return self.triple.split("-")[0]

    def __str__(self) -> str:
        return self.name


_AVX2 = ("sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "fma", "bmi", "bmi2", "lzcnt")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni")
_LINUX = "x86_64-unknown-linux-gnu"
FORMS = {form.name: form for form in (  # of one architecture, the fastest first
    Form("avx512vnni", _LINUX, _AVX512, 32, 512, "vpdpbusd", True),
    Form("avx2", _LINUX, _AVX2, 16, 256, "pmaddwd", True),
    Form("plain", _LINUX, ("sse2",), 16, 128, "pmaddwd", False),
    Form("aarch64", "aarch64-unknown-linux-gnu", ("neon", "fp-armv8"), 32, 128, "widen", True),
    Form("armv7", "armv7-unknown-linux-gnueabihf", ("neon", "vfp3"), 16, 128, "widen", False),
    Form("riscv64", "riscv64-unknown-linux-gnu", ("m", "a", "f", "d", "c"), 32, 64, "widen", True, "lp64d"),
)}
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "armv7"}


def host_features() -> dict[str, bool]:
    """The CPU's features by LLVM's names; none where LLVM cannot tell."""
    try:
        return dict(llvm.get_host_cpu_features())
    except RuntimeError:
        return {}


def host_forms(architecture: str | None = None, features: dict[str, bool] | None = None) -> list[Form]:
    """The forms that a CPU of these features (default: this CPU) can run, the fastest first; [] for one that is not
    known."""
    architecture = (architecture or os.uname().machine).lower()
    architecture = ARCHITECTURES.get(architecture, architecture)
    known = host_features() if features is None else features
    has_all = lambda form: architecture != "x86_64" or all(known.get(name) for name in form.features)  # noqa: E731
    return [form for form in FORMS.values() if form.architecture == architecture and has_all(form)]


def forms_of(architecture: str) -> list[Form]:
    """The forms of an architecture ('x86-64' or 'x86_64'), the fastest first. WeftError for one that is not known."""
    found = [form for form in FORMS.values() if form.architecture == architecture.replace("-", "_")]
    if not found:
        known = dict.fromkeys(form.architecture.replace("_", "-") for form in FORMS.values())
        raise WeftError(f"CPU '{architecture}'", f"there is machine code for {', '.join(known)}", repr(architecture),
                        "one of these")
    return found


def choose(name: str | None = None) -> Form:
    """The form of that name, or the fastest that this CPU can run. WeftError where it cannot."""
    found = {form.name: form for form in host_forms()}
    if not found or name is not None and name not in found:
        raise WeftError(f"form '{name or 'native'}'", f"this CPU can run {', '.join(found) or 'none'}",
                        f"{os.uname().machine}", "one of these, or none: the fastest is chosen")
    return found[name or next(iter(found))]


def target_machine(form: Form) -> llvm.TargetMachine:
    """A new one. A virtual machine may hide the CPU's name, but not its features: only these are given. The code has no
    fixed place."""
    initialise()
    features = ",".join(f"+{name}" for name in form.features)
    return llvm.Target.from_triple(form.triple).create_target_machine(opt=3, features=features, reloc="pic",
                                                                      codemodel="small",
                                                                     abiname=form.abi)


def optimised(module: ir.Module | str, machine: llvm.TargetMachine, unroll: bool = True) -> bytes:
    """An object file (ELF) of a module; its triple and layout are the machine's. LLVM's own errors are raised as they are.

    unroll: whether LLVM may write out loops as it sees fit.
    """
    parsed = parse(module, machine)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_unrolling = unroll
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)


def parse(module: ir.Module | str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """The module as LLVM reads it, verified."""
    parsed = llvm.parse_assembly(str(module))
    parsed.triple, parsed.data_layout = machine.triple, str(machine.target_data)
    parsed.verify()
    return parsed


def object_code(module: ir.Module | str, form: Form) -> bytes:
    """An object file (ELF) of a module for a form, from the cache if it was made before.

    Loops stay as they are written: schedules decide what is unrolled, and more of it would run out of registers.
    """
    text = str(module)
    return cached("code", (text, form, "rolled"), lambda: optimised(text, target_machine(form), unroll=False))


def cached(kind: str, made_of: object, make: Callable[[], bytes]) -> bytes:
    """What `make` returns, kept on disk under a hash of the repr of all that it is made of (LLVM's version is added)."""
    root = Path(os.environ.get("WEFT_CACHE") or Path.home() / ".cache" / "weft")
    digest = hashlib.sha256(repr((made_of, llvmlite.__version__, llvm.get_process_triple())).encode()).hexdigest()
    path = root / f"{kind}-{digest[:24]}.o"
    try:
        return path.read_bytes()
    except OSError:
        made = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, made)
    except OSError:
        pass  # a cache that cannot be written costs the next start its time again, and nothing else
    return made


class Loaded:
    """Object code in this process' memory, for as long as this object lives. Of several files, each may use what others
    define."""

    def __init__(self, code: bytes | Iterable[bytes], machine: llvm.TargetMachine | Form):
        machine = target_machine(machine) if isinstance(machine, Form) else machine  # the JIT owns it from here
        self._jit = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        for file in [code] if isinstance(code, bytes) else code:
            self._jit.add_object_file(llvm.ObjectFileRef.from_data(file))
        self._jit.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins, 0 where there is none of that name."""
        return self._jit.get_function_address(name)


@lru_cache
def initialise():
    """LLVM's targets, all of them; what else is here calls it by itself."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
