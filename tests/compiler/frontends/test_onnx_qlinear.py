"""QLinear operators against ONNX Runtime, where it is installed, and what is refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.frontends import onnx as frontend
from weft.isa import DEFAULT, WeftError

ELEM = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


class QLinear:
    """A model of one operator on stored values x, whose parameters are added one by one."""

    def __init__(self, dtype: str, shape, seed: int = 0):
        self.dtype, self.shape, self.rng = dtype, shape, np.random.default_rng(seed)
        self.tensors: list[onnx.TensorProto] = []

    def add(self, value) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(value), f"c{len(self.tensors)}"))
        return self.tensors[-1].name

    def scale(self, scale, zero_point=0) -> list[str]:
        """Scale and zero point, the latter as for int8."""
        return [self.add(np.float32(scale)),
                self.add(np.dtype(self.dtype).type(zero_point + (128 if self.dtype == "uint8" else 0)))]

    def x(self) -> list[str]:
        return ["x", *self.scale(0.02, 5)]

    def weights(self, shape, channels: int) -> list[str]:
        stored = self.rng.integers(-127, 128, shape).astype(np.int8)
        scale = self.rng.uniform(0.002, 0.02, channels).astype(np.float32) if channels > 1 else np.float32([0.01])
        return [self.add(stored), self.add(scale), self.add(np.zeros(channels, np.int8))]

    def constant(self, shape) -> list[str]:
        low, high = (0, 256) if self.dtype == "uint8" else (-128, 128)
        return [self.add(self.rng.integers(low, high, shape).astype(self.dtype)), *self.scale(0.03, -7)]

    def bias(self, channels: int) -> str:
        return self.add(self.rng.integers(-900, 900, channels).astype(np.int32))

    def model(self, op: str, inputs: list[str], domain: str = "", opset: int = 13, **attrs) -> bytes:
        x = helper.make_tensor_value_info("x", ELEM[self.dtype], self.shape)
        y = helper.make_tensor_value_info("y", ELEM[self.dtype], tuple("abcd"[:len(self.shape)]))
        graph = helper.make_graph([helper.make_node(op, inputs, ["y"], "n", domain=domain, **attrs)], "g", [x], [y],
                                  self.tensors)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8
        return model.SerializeToString()


def conv(q, per_channel=True):
    weight = q.weights((6, 5, 3, 3), 6 if per_channel else 1)
    return "QLinearConv", [*q.x(), *weight, *q.scale(0.2, 3), q.bias(6)], {"pads": [1, 1, 1, 1], "strides": [2, 1]}


def conv_old(q):
    op, inputs, attrs = conv(q, False)
    return op, inputs, attrs | {"opset": 10}


def matmul(q):
    return "QLinearMatMul", [*q.x(), *q.weights((12, 7), 1), *q.scale(0.2, 3)], {}


def gemm(q):
    return "QGemm", [*q.x(), *q.weights((7, 12), 7), q.bias(7), *q.scale(0.2, 3)], {"transB": 1, "domain": "com.microsoft"}


def add(q):
    return "QLinearAdd", [*q.x(), *q.constant((1, 5, 8, 9)), *q.scale(0.05, 3)], {"domain": "com.microsoft"}


def add_old(q):
    op, inputs, attrs = add(q)
    return op, inputs, attrs | {"opset": 11}


def add_itself(q):
    return "QLinearAdd", [*q.x(), *q.x(), *q.scale(0.05, 3)], {"domain": "com.microsoft"}


def mul(q):
    return "QLinearMul", [*q.x(), *q.x(), *q.scale(0.05, -90)], {"domain": "com.microsoft"}


def global_average(q):
    return "QLinearGlobalAveragePool", [*q.x(), *q.scale(0.0047, 3)], {"domain": "com.microsoft", "channels_last": 0}


def average(q):
    return "QLinearAveragePool", [*q.x(), *q.scale(0.015, 3)], {"domain": "com.microsoft", "kernel_shape": [2, 2]}


def sigmoid(q):
    return "QLinearSigmoid", [*q.x(), *q.scale(1 / 256, -128)], {"domain": "com.microsoft"}


def leaky_relu(q):
    return "QLinearLeakyRelu", [*q.x(), *q.scale(0.02, 3)], {"domain": "com.microsoft", "alpha": 0.2}


def concat(q):
    return "QLinearConcat", [*q.scale(0.025, 3), *q.x(), *q.x()], {"domain": "com.microsoft", "axis": 1}


OPERATORS = {f.__name__: f for f in (conv, conv_old, matmul, gemm, add, add_old, add_itself, mul, global_average, average,
                                     sigmoid,
                                     leaky_relu, concat)}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("name", OPERATORS)
def test_operator(name, dtype):
    runtime = pytest.importorskip("onnxruntime")
    q = QLinear(dtype, (3, 12) if name in ("matmul", "gemm") else (1, 5, 8, 9))
    op, inputs, options = OPERATORS[name](q)
    data = q.model(op, inputs, **options)
    placed = graph_passes.run(frontend.load(data, "m"), DEFAULT)
    info = np.iinfo(dtype)
    session = runtime.InferenceSession(data)
    apart = []
    for seed in range(20):
        x = np.random.default_rng(seed).integers(info.min, info.max + 1, q.shape).astype(dtype)
        actual = reference.run(placed, {"x": x})[placed.outputs[0]]
        (expected,) = session.run(None, {"x": x})
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        apart.append(np.abs(actual.astype(int) - expected))
    assert np.max(apart) <= 1 and np.mean(np.array(apart) == 0) >= 0.95
    assert not any(n.op[0].isupper() or n.op in ("quantize", "dequantize") for n in placed.nodes), str(placed)
    assert pipeline.build(placed, DEFAULT).run(x)[1].bit_exact


def refusal(data: bytes) -> str:
    with pytest.raises(WeftError) as caught:
        frontend.load(data, "m")
    return str(caught.value)


def test_refuses_a_computed_scale():
    q = QLinear("int8", (1, 5, 8, 9))
    inputs = ["x", "x", q.add(np.int8(0)), *q.constant((1, 5, 8, 9)), *q.scale(0.05)]
    assert refusal(q.model("QLinearAdd", inputs, "com.microsoft")) == (
        "node 'n' (QLinearAdd): scale and zero point must be constants, but found 'x', which is computed; "
        "try: static quantisation")


def test_refuses_channels_last():
    q = QLinear("int8", (1, 5, 8, 9))
    data = q.model("QLinearGlobalAveragePool", [*q.x(), *q.scale(0.005)], "com.microsoft", channels_last=1)
    assert refusal(data) == ("node 'n' (QLinearGlobalAveragePool): channels_last must be 0, but found 1; "
                             "try: to export the model in NCHW")


def test_refuses_a_gemm_in_real_numbers():
    q = QLinear("int8", (3, 12))
    data = q.model("QGemm", [*q.x(), *q.weights((12, 7), 1)], "com.microsoft")
    assert refusal(data) == ("node 'n' (QGemm): its output must be quantised, but found no scale of y; try: QDQ around a "
                             "Gemm")
