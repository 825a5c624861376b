"""int8 QDQ networks with seeded weights, layer by layer: scales follow from estimated mean squares, without calibration.

Weights are normal and of such a size that the sums of a layer have variance 1, as a batch norm would make them. So activations
neither saturate nor vanish, however deep the network is.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8
REACH = 4.0  # roots of the mean square that the range of a tensor covers
BIAS = 0.1  # standard deviation of biases; that of a layer's sums is 1


@dataclass(frozen=True)
class Tensor:
    """An activation: its dequantised name, shape [N, C, H, W] or [N, C], scale and zero point; `square`: estimated mean square.

    It is of a ReLU where the zero point is -128, and around zero where that is 0.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    square: float


class QdqBuilder:
    """Writes a network. Every layer takes and gives a `Tensor`; weights are int8 by channel, biases int32."""

    def __init__(self, name: str, seed: int):
        self.name, self.rng = name, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.count = 0

    def input(self, shape: tuple[int, ...]) -> Tensor:
        """float32 images of about mean 0 and variance 1."""
        self.inputs.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))
        return self._quantised("image", shape, 1.0, None)

    def conv(self, x: Tensor, channels: int, kernel: int, stride: int = 1, groups: int = 1, clip: float | None = math.inf) -> Tensor:
        """Convolution with a bias and padding to the same size. clip: of the ReLU behind it; None for no ReLU."""
        shape = (x.shape[0], channels, *(_slid(size, kernel, stride) for size in x.shape[2:]))
        seen = math.prod(_seen(size, kernel, stride) for size in x.shape[2:])
        inputs = self._weights(x, (channels, x.shape[1] // groups, kernel, kernel), seen)
        y = self._node("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups)
        return self._activation(y, shape, 1.0, clip)

    def dense(self, x: Tensor, units: int) -> Tensor:
        """The classifier."""
        y = self._node("Gemm", self._weights(x, (units, x.shape[1]), 1.0), transB=1)
        return self._activation(y, (x.shape[0], units), 1.0, None)

    def add(self, x: Tensor, y: Tensor, clip: float | None = None) -> Tensor:
        """The sum; a ReLU behind it leaves of a summand that is positive all, of another one half."""
        total = self._activation(self._node("Add", [x.name, y.name]), x.shape, x.square + y.square, clip)
        left = sum(t.square if clip is None or t.zero_point else t.square / 2 for t in (x, y))
        return replace(total, square=left)

    def max_pool(self, x: Tensor, kernel: int, stride: int) -> Tensor:
        """Padded by kernel // 2; values and scale are those of x."""
        shape = (*x.shape[:2], *(_slid(size, kernel, stride) for size in x.shape[2:]))
        y = self._node("MaxPool", [x.name], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)
        return Tensor(self._requantise(y, x.scale, x.zero_point), shape, x.scale, x.zero_point, 2 * x.square)

    def global_average(self, x: Tensor) -> Tensor:
        """[N, C]: the mean over the image; deviations average out, so its range is half of the input's."""
        pooled = self._requantise(self._node("GlobalAveragePool", [x.name]), x.scale / 2, x.zero_point)
        flat = self._node("Flatten", [pooled], axis=1)
        return Tensor(flat, x.shape[:2], x.scale / 2, x.zero_point, x.square / 2)

    def model(self, output: Tensor) -> onnx.ModelProto:
        """The whole network, with one output of real numbers."""
        value = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, output.shape)
        graph = helper.make_graph(self.nodes, self.name, self.inputs, [value], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="weft")
        model.ir_version = IR_VERSION
        return model

    def _weights(self, x: Tensor, shape: tuple[int, ...], seen: float) -> list[str]:
        """The inputs of a node whose sums have mean square 1, where of its kernel the part `seen` lies over the image."""
        summands = math.prod(shape[1:]) * seen
        real = self.rng.standard_normal(shape, np.float32) / np.float32(math.sqrt(summands * x.square))
        over = tuple(range(1, len(shape)))
        scale = (np.abs(real).max(axis=over) / 127).astype(np.float32)
        stored = np.rint(real / scale.reshape(-1, *(1,) * len(over))).astype(np.int8)
        bias_scale = (scale * np.float32(x.scale)).astype(np.float32)
        bias = np.rint(self.rng.standard_normal(shape[0]) * BIAS / bias_scale).astype(np.int32)
        return [x.name, self._dequantised(stored, scale, 0), self._dequantised(bias, bias_scale, 0)]

    def _activation(self, y: str, shape: tuple[int, ...], square: float, clip: float | None) -> Tensor:
        """What sums of this mean square become behind a ReLU that clips there, or without one."""
        if clip is None:
            return self._quantised(y, shape, square, None)
        limits = [] if math.isinf(clip) else [self._constant(np.float32(0)), self._constant(np.float32(clip))]
        return self._quantised(self._node("Clip" if limits else "Relu", [y, *limits]), shape, square, clip)

    def _quantised(self, y: str, shape: tuple[int, ...], square: float, clip: float | None) -> Tensor:
        """Around zero without a ReLU, from zero up with one; half of the mean square is left then."""
        reach = REACH * math.sqrt(square)
        if clip is None:
            return Tensor(self._requantise(y, reach / 127, 0), shape, reach / 127, 0, square)
        scale = min(reach, clip) / 255
        return Tensor(self._requantise(y, scale, -128), shape, scale, -128, square / 2)

    def _requantise(self, y: str, scale: float, zero_point: int) -> str:
        parameters = [self._constant(np.float32(scale)), self._constant(np.int8(zero_point))]
        stored = self._node("QuantizeLinear", [y, *parameters])
        return self._node("DequantizeLinear", [stored, *parameters])

    def _dequantised(self, stored: np.ndarray, scale: np.ndarray, axis: int) -> str:
        names = [self._constant(stored), self._constant(scale), self._constant(np.zeros(scale.shape, stored.dtype))]
        return self._node("DequantizeLinear", names, axis=axis)

    def _constant(self, value: np.ndarray) -> str:
        self.count += 1
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"constant{self.count}"))
        return self.constants[-1].name

    def _node(self, op: str, inputs: list[str], **attributes) -> str:
        self.count += 1
        name = f"{op.lower()}{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [f"{name}.y"], name, **attributes))
        return f"{name}.y"


class RealBuilder(QdqBuilder):
    """Writes the same network on real numbers: nothing is quantised, weights and biases are what the stored ones stand for."""

    def _requantise(self, y: str, scale: float, zero_point: int) -> str:
        return y

    def _dequantised(self, stored: np.ndarray, scale: np.ndarray, axis: int) -> str:
        return self._constant(stored.astype(np.float32) * scale.reshape(-1, *(1,) * (stored.ndim - 1)))


def _slid(size: int, kernel: int, stride: int) -> int:
    """Places of a kernel along an axis that is padded by kernel // 2 at both ends."""
    return (size + 2 * (kernel // 2) - kernel) // stride + 1


def _seen(size: int, kernel: int, stride: int) -> float:
    """The part of these kernels that lies over the image and not over its padding."""
    first = [place * stride - kernel // 2 for place in range(_slid(size, kernel, stride))]
    return sum(min(at + kernel, size) - max(at, 0) for at in first) / (kernel * len(first))
