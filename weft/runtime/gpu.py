"""Functions for a GPU: their PTX loaded by NVIDIA's driver, what they work in, and how they are launched.

    open_gpu(module)                   the first GPU of this machine, through the bindings of `cuda-python`
    Running(module, function, gpu)     one function with its kernels, arena and constants on the GPU, to be run many times

The driver translates PTX for the GPU that is there, so a module runs on every one from its architecture on. Bindings are
imported when a GPU is asked for, and not before: nothing else needs them.
"""

import ctypes
import weakref
from collections.abc import Container, Sequence
from types import ModuleType

import numpy as np

from weft.isa import WeftError

from .module import GpuFunction, Module

INSTALL = "pip install 'weft[gpu]'"
ELSEWHERE = "a machine with an NVIDIA GPU and its driver; `--target accel,cpu` needs none"


def open_gpu(module: Module) -> "Gpu":
    """The GPU that a module's functions run on.

    Raises
    ------
    WeftError: where bindings, driver or GPU are missing; the message says which, and who accepted the code.
    """
    try:
        from cuda.bindings import driver
    except ImportError:
        raise _missing(module, "no bindings of the CUDA driver", f"{INSTALL}, and {ELSEWHERE}") from None
    return Gpu(module, driver)


def _missing(module: Module, what: str, hint: str) -> WeftError:
    kernels = sum(function.kernels for function in module.gpu_functions)
    accepted = module.gpu_functions[0].accepted
    proved = f"ptxas accepted its {kernels} kernels for {', '.join(accepted)}" if accepted \
        else f"no ptxas has seen its {kernels} kernels"
    return WeftError(f"module '{module.name}'", "its operators on the GPU need an NVIDIA GPU", f"{what} ({proved})", hint)


class Gpu:
    """The first GPU, by its primary context. driver: `cuda.bindings.driver`, or what does the same."""

    def __init__(self, module: Module, driver: ModuleType):
        self.driver, self.subject = driver, f"module '{module.name}'"
        try:
            error, *_ = driver.cuInit(0)
        except RuntimeError:  # the bindings look for the driver's library at the first call
            raise _missing(module, "no CUDA driver on this machine", ELSEWHERE) from None
        count = self._call(driver.cuDeviceGetCount) if error == driver.CUresult.CUDA_SUCCESS else 0
        if not count:
            raise _missing(module, f"the CUDA driver finds no GPU ({error.name})", ELSEWHERE)
        self.device = self._call(driver.cuDeviceGet, 0)
        self.context = self._call(driver.cuDevicePrimaryCtxRetain, self.device)
        self.use()

    def use(self):
        """Makes this GPU the one of the thread that calls."""
        self._call(self.driver.cuCtxSetCurrent, self.context)

    @property
    def name(self) -> str:
        return self._call(self.driver.cuDeviceGetName, 128, self.device).split(b"\0")[0].decode()

    def _call(self, function, *arguments):
        """What a function of the driver returns behind its status. WeftError for any status but success."""
        error, *values = function(*arguments)
        if error != self.driver.CUresult.CUDA_SUCCESS:
            raise WeftError(self.subject, "the CUDA driver must do what it is asked",
                            f"{error.name} from {function.__name__}",
                            "a GPU of the module's architecture with enough memory; `nvidia-smi` names what there is")
        return values[0] if values else None

    def load(self, ptx: str):
        """The kernels of a text, translated for this GPU."""
        return self._call(self.driver.cuModuleLoadData, ptx.encode() + b"\0")

    def kernel(self, loaded, symbol: str):
        return self._call(self.driver.cuModuleGetFunction, loaded, symbol.encode())

    def allocate(self, size: int) -> int:
        """The address of so many bytes."""
        return int(self._call(self.driver.cuMemAlloc, max(size, 1)))

    def free(self, address: int):
        self._call(self.driver.cuMemFree, address)

    def write(self, address: int, array: np.ndarray):
        array = np.ascontiguousarray(array)
        self._call(self.driver.cuMemcpyHtoD, address, array.ctypes.data, array.nbytes)

    def read(self, address: int, array: np.ndarray):
        """Into an array, which must be contiguous, when all launches are done."""
        self._call(self.driver.cuMemcpyDtoH, array.ctypes.data, address, array.nbytes)

    def launch(self, kernel, grid: tuple[int, int, int], block: tuple[int, int, int], addresses: Sequence[int]):
        values = tuple(addresses), (ctypes.c_void_p,) * len(addresses)
        self._call(self.driver.cuLaunchKernel, kernel, *grid, *block, 0, 0, values, 0)

    def wait(self):
        self._call(self.driver.cuCtxSynchronize)

    def event(self):
        """A mark behind all that was launched so far."""
        made = self._call(self.driver.cuEventCreate, 0)
        self._call(self.driver.cuEventRecord, made, 0)
        return made

    def seconds(self, first, last) -> float:
        """Between two marks, both of which are reached."""
        return float(self._call(self.driver.cuEventElapsedTime, first, last)) / 1e3

    def forget(self, event):
        self._call(self.driver.cuEventDestroy, event)


def _free(gpu: Gpu, addresses: Sequence[int]):
    gpu.use()
    for address in addresses:
        gpu.free(address)


class Running:
    """A function of a module on a GPU. It works in memory of its own, so one run at a time."""

    SLACK = 64  # bytes behind the constants that a whole vector may reach

    def __init__(self, module: Module, function: GpuFunction, gpu: Gpu):
        self.function, self.gpu = function, gpu
        loaded = gpu.load(function.ptx)
        sizes = {"arena": function.arena_size, "constants": function.constants.size}
        self._begins = {name: gpu.allocate(size + self.SLACK) for name, size in sizes.items()}
        weakref.finalize(self, _free, gpu, tuple(self._begins.values()))
        gpu.write(self._begins["constants"], function.constants)
        kernels = {symbol: gpu.kernel(loaded, symbol) for symbol in dict.fromkeys(step.symbol for step in function.steps)}
        self._launches = [(step.layer, kernels[step.symbol], step.grid, step.block,
                           [self._begins[memory] + offset for memory, offset in step.places]) for step in function.steps]
        self._types = {name: module.tensors[name] for name in (*function.inputs, *function.outputs)}
        self._marks: list = []

    def run(self, inputs: Sequence[np.ndarray], timed: bool = False) -> list[np.ndarray]:
        """New arrays, the function's outputs. inputs: of its inputs' shapes and dtypes. timed: keep what `seconds` needs."""
        self.gpu.use()
        for (name, offset), array in zip(self.function.inputs.items(), inputs, strict=True):
            self.gpu.write(self._begins["arena"] + offset, array)
        self.launch(timed)
        outputs = []
        for name, offset in self.function.outputs.items():
            outputs.append(np.empty(self._types[name].shape, self._types[name].dtype))
            self.gpu.read(self._begins["arena"] + offset, outputs[-1])
        return outputs

    def launch(self, timed: bool = False, only: Container[int] | None = None):
        """All kernels, or those of these positions in the operators, on the inputs that are there; without waiting."""
        for mark in self._marks:
            self.gpu.forget(mark)
        self._marks = [self.gpu.event()] if timed else []
        for layer, kernel, grid, block, addresses in self._launches:
            if only is None or layer in only:
                self.gpu.launch(kernel, grid, block, addresses)
            if timed:
                self._marks.append(self.gpu.event())

    def seconds(self) -> np.ndarray | None:
        """float64: what each of the function's operators took on the GPU in the last run, if that was timed."""
        if not self._marks:
            return None
        self.gpu.wait()
        taken = [self.gpu.seconds(a, b) for a, b in zip(self._marks, self._marks[1:])]
        return np.bincount([step.layer for step in self.function.steps], taken, len(self.function.operators))
