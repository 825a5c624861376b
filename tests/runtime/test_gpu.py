"""Functions for a GPU: what is said where there is none; launches and copies by a driver that runs the kernels' loops; and on a
GPU, where there is one, results equal to the reference."""

import gc
import sys
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import pytest

import weft
from tests.conftest import ROOT
from weft.compiler import frontends, graph_passes, interpret, pipeline
from weft.compiler.gpu import lockstep, program
from weft.isa import DEFAULT, WeftError
from weft.runtime import gpu
from weft.runtime.executor import Executor, reference
from weft.runtime.module import Module, from_bytes, to_bytes

DIGITS = ROOT / "examples" / "digits" / "digits_int8.onnx"


@pytest.fixture(scope="module")
def digits() -> Module:
    return from_bytes(to_bytes(pipeline.compile(DIGITS, DEFAULT, target="gpu")))


def programs() -> dict:
    """The loop programs of the network's kernels, by their symbols."""
    graph = graph_passes.run(frontends.load(DIGITS), DEFAULT, passes=graph_passes.for_targets(("gpu",)))
    nodes = [node for node in graph.nodes if node.where == "gpu"]
    return {step.symbol: step.program for step in program.build(graph, nodes, graph.outputs).steps}


class Status(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_NO_DEVICE = 100


class Loops:
    """A driver whose GPU is an array, and whose kernels are loop programs. Addresses begin at BEGIN."""

    CUresult, BEGIN = Status, 1 << 20

    def __init__(self, kernels: dict, devices: int = 1):
        self.kernels, self.devices, self.next = kernels, devices, self.BEGIN
        self.memory = np.full(1 << 22, 0xA5, np.uint8)
        self.launched, self.freed, self.marks = [], [], 0

    def cuInit(self, flags):
        return Status.CUDA_SUCCESS if self.devices else Status.CUDA_ERROR_NO_DEVICE,

    def cuDeviceGetCount(self):
        return Status.CUDA_SUCCESS, self.devices

    def cuDeviceGet(self, number):
        return Status.CUDA_SUCCESS, number

    def cuDevicePrimaryCtxRetain(self, device):
        return Status.CUDA_SUCCESS, "context"

    def cuCtxSetCurrent(self, context):
        return Status.CUDA_SUCCESS,

    cuCtxSynchronize = lambda self: (Status.CUDA_SUCCESS,)  # noqa: E731

    def cuModuleLoadData(self, text):
        assert text.endswith(b"\0") and b".visible .entry" in text
        return Status.CUDA_SUCCESS, text

    def cuModuleGetFunction(self, loaded, symbol):
        assert b".entry " + symbol + b"(" in loaded
        return Status.CUDA_SUCCESS, symbol.decode()

    def cuMemAlloc(self, size):
        address, self.next = self.next, self.next + -(-size // 256) * 256
        return Status.CUDA_SUCCESS, address

    def cuMemFree(self, address):
        self.freed.append(address)
        return Status.CUDA_SUCCESS,

    def _at(self, address: int, size: int) -> np.ndarray:
        assert self.BEGIN <= address and address + size <= self.next
        return self.memory[address - self.BEGIN:address - self.BEGIN + size]

    def cuMemcpyHtoD(self, address, source, size):
        self._at(address, size)[:] = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * size).from_address(source))
        return Status.CUDA_SUCCESS,

    def cuMemcpyDtoH(self, target, address, size):
        np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * size).from_address(target))[:] = self._at(address, size)
        return Status.CUDA_SUCCESS,

    def cuLaunchKernel(self, symbol, gx, gy, gz, bx, by, bz, shared, stream, values, extra):
        loops = self.kernels[symbol]
        assert program.dimensions(loops) == program.Dimensions((gx, gy, gz), (bx, by, bz))
        arrays = {}
        for (name, buffer), address in zip(loops.arguments.items(), values[0], strict=True):
            dtype = interpret.DTYPES[buffer.dtype]
            before = sum(low * stride for low, stride in zip(buffer.low, interpret.strides_of(buffer))) * dtype.itemsize
            arrays[name] = self._at(address - before, buffer.span * dtype.itemsize).view(dtype)
        lockstep.run(loops, arrays)
        self.launched.append(symbol)
        return Status.CUDA_SUCCESS,

    def cuEventCreate(self, flags):
        self.marks += 1
        return Status.CUDA_SUCCESS, self.marks

    def cuEventRecord(self, event, stream):
        return Status.CUDA_SUCCESS,

    def cuEventDestroy(self, event):
        return Status.CUDA_SUCCESS,

    def cuEventElapsedTime(self, first, last):
        return Status.CUDA_SUCCESS, 1000.0 * (last - first)


@pytest.fixture
def loops(monkeypatch) -> Loops:
    driver = Loops(programs())
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(bindings=SimpleNamespace(driver=driver)))
    monkeypatch.setitem(sys.modules, "cuda.bindings", SimpleNamespace(driver=driver))
    return driver


def test_a_module_keeps_its_functions(digits):
    again = from_bytes(to_bytes(digits))
    (one,), (other,) = digits.gpu_functions, again.gpu_functions
    assert one.steps == other.steps and one.ptx == other.ptx and one.inputs == other.inputs and np.array_equal(one.constants, other.constants)


def test_launches_and_copies_give_the_reference_s_result(digits, loops):
    x = np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)
    executor = Executor(digits, None)
    for _ in range(2):
        outputs, report = executor.run([x])
        assert report.bit_exact and report.device == "gpu" and np.array_equal(outputs["logits"], reference(digits, [x])["logits"])
    (function,) = digits.gpu_functions
    assert loops.launched == 2 * [step.symbol for step in function.steps]
    assert sum(layer.seconds for layer in report.layers) == pytest.approx(len(function.steps))
    del executor
    gc.collect()
    assert len(loops.freed) == 2  # arena and constants


def test_without_bindings(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda", None)
    with pytest.raises(WeftError) as error:
        digits["main"](np.zeros((1, 1, 8, 8), np.float32))
    assert error.value.rule == "its operators on the GPU need an NVIDIA GPU"
    assert error.value.found.startswith("no bindings of the CUDA driver (") and f"its {digits.gpu_functions[0].kernels} kernels" in error.value.found
    assert error.value.hint == "pip install 'weft[gpu]', and a machine with an NVIDIA GPU and its driver; `--target accel,cpu` needs none"


@pytest.mark.parametrize("accepted, words", [((), "no ptxas has seen its 15 kernels"),
                                             (("sm_80", "sm_90"), "ptxas accepted its 15 kernels for sm_80, sm_90")])
def test_without_a_driver(accepted, words):
    def fails(flags):
        raise RuntimeError("libcuda.so.1 is not there")

    function = SimpleNamespace(kernels=15, accepted=accepted)
    with pytest.raises(WeftError) as error:
        gpu.Gpu(SimpleNamespace(name="net", gpu_functions=[function]), SimpleNamespace(cuInit=fails))
    assert str(error.value) == (f"module 'net': its operators on the GPU need an NVIDIA GPU, but found no CUDA driver on this machine ({words}); "
                                "try: a machine with an NVIDIA GPU and its driver; `--target accel,cpu` needs none")


def test_without_a_gpu(digits):
    with pytest.raises(WeftError, match="the CUDA driver finds no GPU .CUDA_ERROR_NO_DEVICE."):
        gpu.Gpu(digits, Loops({}, devices=0))


def test_what_the_driver_refuses(digits, loops):
    loops.cuMemAlloc = lambda size: (Status.CUDA_ERROR_NO_DEVICE,)
    loops.cuMemAlloc.__name__ = "cuMemAlloc"
    with pytest.raises(WeftError, match="the CUDA driver must do what it is asked, but found CUDA_ERROR_NO_DEVICE from cuMemAlloc"):
        Executor(digits, None)


@pytest.mark.gpu
def test_on_a_gpu():
    """Every kernel of a network on the GPU that is there."""
    pytest.importorskip("cuda.bindings", reason="the extra `gpu` is not installed")
    module = pipeline.compile(DIGITS, DEFAULT, target="gpu")
    try:
        gpu.open_gpu(module)
    except WeftError as error:
        pytest.skip(f"no GPU: {error.found}")
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal((1, 1, 8, 8)).astype(np.float32)
        outputs, report = weft.run(module, [x])
        assert report.bit_exact
