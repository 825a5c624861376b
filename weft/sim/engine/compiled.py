"""An engine's machine code: made by LLVM once, then kept in the cache under a hash of all that it was made of."""

import ctypes
import hashlib
from functools import lru_cache, partial
from pathlib import Path

import llvmlite.binding as llvm
from llvmlite import ir

import weft.isa
import weft.llvm
from weft.isa import Config
from weft.llvm import machine

from . import dispatch
from .context import Context
from .forms import Form

FUNCTIONS = {"prepare": (ctypes.c_void_p,), "run": (ctypes.c_void_p,),
             "execute": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)}


def _hash_of_sources() -> str:
    folders = [Path(__file__).parent, *(Path(room.__file__).parent for room in (weft.isa, weft.llvm))]
    return hashlib.sha256(b"".join(path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py")))).hexdigest()


SOURCES = _hash_of_sources()  # at once: who edits them later, while this process runs, must not find its code under their hash


class Compiled:
    """The functions of dispatch.emit, callable: `prepare(state)`, `run(state)`, `execute(state, indices, how many)`."""

    def __init__(self, code: bytes, form: Form):
        self._code = machine.Loaded(code, target_machine(form))
        self.prepare, self.run, self.execute = (
            ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(self._code.address(name))
            for name, arguments in FUNCTIONS.items())


@lru_cache
def code_for(config: Config, form: Form) -> Compiled:
    """The code for a config and a form: from this process, else from the cache, else made now (about a second)."""
    code = machine.cached("engine", (SOURCES, config.fingerprint, form), lambda: object_code(config, form))
    return Compiled(code, form)


def object_code(config: Config, form: Form) -> bytes:
    """Writes the kernels and has LLVM make an object file of them."""
    target = target_machine(form)
    module = ir.Module("engine")
    dispatch.emit(partial(Context.begin, config, form, module), config)
    return machine.optimised(module, target)


def target_machine(form: Form) -> llvm.TargetMachine:
    """A virtual machine may hide the CPU's name, but not its features: only these are given."""
    machine.initialise()
    return llvm.Target.from_default_triple().create_target_machine(opt=3, features=form.features, jit=True)
