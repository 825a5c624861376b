"""A module's function, for who wants its results and nothing more: `module["main"](x)`."""

import threading

import numpy as np

from .device import open_device
from .executor import Executor
from .module import Module


class Function:
    """A network that is ready to run: machine code, device and threads are made at the first call, and kept.

    device: by name, for the module's launches if it has any. threads: of the CPU's part, as many as cores where it is None.
    """

    def __init__(self, module: Module, device: str = "functional", threads: int | None = None):
        self.module, self.device, self.threads = module, device, threads
        self._executor: Executor | None = None
        self._lock = threading.Lock()

    def __call__(self, *inputs: np.ndarray) -> "np.ndarray | tuple[np.ndarray, ...]":
        """The output, or a tuple of several, of one array for each input. Nothing is compared with the reference.

        Raises
        ------
        WeftError: for inputs of another number, shape or dtype than the network's.
        """
        with self._lock:
            if self._executor is None:
                self._executor = self._ready()
            outputs = self._executor.outputs(inputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _ready(self) -> Executor:
        module = self.module
        device = open_device(self.device, module.config, module.memory_size) if module.launches else None
        return Executor(module, device, threads=self.threads)
