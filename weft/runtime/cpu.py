"""Functions for the CPU: their machine code in memory, what they work in, and how they are run.

    load(module)                       the code of the best form that this CPU can run, all functions of a module
    Running(module, function, code)    one function with its arena and constants, to be run many times
"""

import sys
from collections.abc import Sequence

import numpy as np

from weft.isa import WeftError
from weft.llvm import machine
from weft.llvm.threads import BARRIER_BYTES, LOOSE, TIMES

from .aligned import copied, zeros
from .module import CpuFunction, Module
from .team import Team

_ALONE = [np.empty(0)]
HELD_HERE = sys.getrefcount(_ALONE[0])  # of an array that only a list holds; how many depends on the interpreter


def load(module: Module) -> machine.Loaded:
    """Machine code of the fastest form that the module has and this CPU can run.

    Raises
    ------
    WeftError: where it has none; the message names what this CPU can run, and what the module has.
    """
    for form in machine.host_forms():
        if form.name in module.code:
            return machine.Loaded(module.code[form.name].values(), form)
    able = ", ".join(form.name for form in machine.host_forms()) or "none that weft knows"
    raise WeftError(f"module '{module.name}'", f"it must have code of a form that this CPU can run: {able}",
                    ", ".join(module.code) or "none", "to compile it here, or with `--cpu x86-64`")


class Running:
    """A function of a module, ready to run. It works in memory of its own, so one run at a time."""

    def __init__(self, module: Module, function: CpuFunction, code: machine.Loaded):
        self.function = function
        self._address = code.address(function.symbol)
        if not self._address:
            raise WeftError(f"module '{module.name}'", f"its code must define '{function.symbol}'", "no such symbol",
                            "compile the model again")
        self._code = code  # kept for as long as its address is used
        self._types = [module.tensors[name] for name in (*function.inputs, *function.outputs)]
        self._outputs: list[np.ndarray | None] = [None] * len(function.outputs)
        self._arena, self._constants = zeros(function.arena_size), copied(function.constants)
        self._barrier = zeros(BARRIER_BYTES)
        self._times = np.zeros(len(function.layers) + 1, np.uint64)
        self._barrier[TIMES:TIMES + 8].view(np.uint64)[0] = self._times.ctypes.data
        self._barrier[LOOSE] = 1
        self._io = np.zeros(len(self._types), np.uint64)
        self._fixed = self._arena.ctypes.data, self._constants.ctypes.data, self._io.ctypes.data, self._barrier.ctypes.data

    def run(self, inputs: Sequence[np.ndarray], team: Team) -> list[np.ndarray]:
        """New arrays, the function's outputs. inputs: of the shapes and dtypes of its inputs."""
        inputs = [np.ascontiguousarray(array) for array in inputs]
        outputs = self._new_outputs()
        self._io[:] = [array.ctypes.data for array in (*inputs, *outputs)]
        team.run(self._address, *self._fixed)
        return outputs

    def _new_outputs(self) -> list[np.ndarray]:
        """Arrays for the outputs: those of the last run where nobody holds them any more, for large new ones cost a page
        fault a page."""
        for k in range(len(self._outputs)):
            if self._outputs[k] is None or sys.getrefcount(self._outputs[k]) > HELD_HERE:
                info = self._types[len(self.function.inputs) + k]
                self._outputs[k] = np.empty(info.shape, info.dtype)
        return list(self._outputs)

    def shares(self) -> np.ndarray | None:
        """float64: of the last run's time, the part that each of the function's operators took. None where the CPU has no
        counter that every program may read."""
        taken = np.diff(self._times.astype(np.int64)).astype(np.float64)
        if taken.sum() <= 0:
            return None
        return np.bincount(self.function.layers, taken, len(self.function.operators)) / taken.sum()
