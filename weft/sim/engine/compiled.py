"""An engine's machine code: made by LLVM once, then kept in the cache under a hash of all that it was made of."""

import ctypes
import hashlib
import os
from functools import lru_cache, partial
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

import weft.isa
from weft.isa import Config
from weft.isa.files import write_atomically

from . import dispatch
from .context import Context
from .forms import Form

FUNCTIONS = {"prepare": (ctypes.c_void_p,), "run": (ctypes.c_void_p,),
             "execute": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)}


def _hash_of_sources() -> str:
    folders = (Path(__file__).parent, Path(weft.isa.__file__).parent)
    return hashlib.sha256(b"".join(path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py")))).hexdigest()


SOURCES = _hash_of_sources()  # at once: who edits them later, while this process runs, must not find its code under their hash


class Compiled:
    """The functions of dispatch.emit, callable: `prepare(state)`, `run(state)`, `execute(state, indices, how many)`."""

    def __init__(self, code: bytes, form: Form):
        self._jit = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(form))
        self._jit.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._jit.finalize_object()
        self.prepare, self.run, self.execute = (
            ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(self._jit.get_function_address(name))
            for name, arguments in FUNCTIONS.items())


@lru_cache
def code_for(config: Config, form: Form) -> Compiled:
    """The code for a config and a form: from this process, else from the cache, else made now (about a second)."""
    _initialise()
    path = _cache_path(config, form)
    try:
        return Compiled(path.read_bytes(), form)
    except OSError:
        code = object_code(config, form)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, code)
    except OSError:
        pass  # a cache that cannot be written costs the next start a second, and nothing else
    return Compiled(code, form)


def object_code(config: Config, form: Form) -> bytes:
    """Writes the kernels and has LLVM make an object file of them."""
    _initialise()
    machine = target_machine(form)
    module = ir.Module("engine")
    module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
    dispatch.emit(partial(Context.begin, config, form, module), config)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)


def target_machine(form: Form) -> llvm.TargetMachine:
    """A virtual machine may hide the CPU's name, but not its features: only these are given."""
    return llvm.Target.from_default_triple().create_target_machine(opt=3, features=form.features, jit=True)


@lru_cache
def _initialise():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _cache_path(config: Config, form: Form) -> Path:
    root = Path(os.environ.get("WEFT_CACHE") or Path.home() / ".cache" / "weft")
    made_of = repr((SOURCES, config.fingerprint, form, llvmlite.__version__, llvm.get_process_triple()))
    return root / f"engine-{hashlib.sha256(made_of.encode()).hexdigest()[:24]}.o"
