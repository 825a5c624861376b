"""A network of a library of `export_library`, called as C calls it."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weft.runtime.module import Module

from .c_device import ADDRESS, CDevice


class CNetwork:
    """network: as NAME_create makes it. `status` is what that returned."""

    def __init__(self, library: Path, module: Module, device: CDevice | None, base: int = 0, threads: int = 1):
        self.module, self.device = module, device
        code, prefix = ctypes.CDLL(str(library)), library.stem
        self._create, self._run, self._destroy, self._message = (code[f"{prefix}_{name}"] for name in ("create", "run", "destroy", "message"))
        self._message.restype = ctypes.c_char_p
        self._network = ctypes.c_void_p()
        struct = None if device is None else ctypes.byref(device.struct)
        self.status = self._create(ctypes.byref(self._network), struct, ADDRESS(base), threads)

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[int, dict[str, np.ndarray]]:
        """(status, outputs by name)."""
        inputs = [np.ascontiguousarray(x) for x in inputs]
        outputs = {name: np.empty(self.module.tensors[name].shape, self.module.tensors[name].dtype) for name in self.module.outputs}
        addresses = [(ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays)) for arrays in (inputs, list(outputs.values()))]
        return self._run(self._network, *addresses), outputs

    @property
    def message(self) -> str:
        return self._message(self._network).decode()

    def close(self):
        self._destroy(self._network)
