"""The trained network as ONNX: float, and int8 with QuantizeLinear and DequantizeLinear around every operator."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .network import STRIDES, Parameters, forward

OPSET, IR_VERSION = 13, 8


def float_model(p: Parameters) -> onnx.ModelProto:
    """Input image [1, 1, 8, 8], output logits [1, 10]."""
    return _model(_operators(), [numpy_helper.from_array(v, k) for k, v in p.items()])


def int8_model(p: Parameters, calibration: np.ndarray) -> onnx.ModelProto:
    """Activations int8 with the range seen on `calibration`, weights int8 with a scale a channel, biases int32."""
    tensors = forward(p, calibration)
    parameters = {name: _activation_parameters(tensors[name]) for name in ("a", "b", "c.conv", "c", "e", "logits")}
    parameters["image"] = _activation_parameters(tensors["x"])
    parameters["d"] = parameters["c"]  # the largest of a window has the range of all values
    parameters["f"] = parameters["e"]  # flattening moves values
    builder = _Quantised()
    builder.quantise("image", "image", parameters["image"])
    for node in _operators():
        builder.operator(node, parameters, p)
    return _model(builder.nodes, builder.constants)


def _operators() -> list[onnx.NodeProto]:
    def conv(name, source, target):
        return helper.make_node("Conv", [source, f"{name}.weight", f"{name}.bias"], [target], name, kernel_shape=[3, 3],
                                pads=[1, 1, 1, 1], strides=[STRIDES[name]] * 2)

    return [
        conv("conv1", "image", "a.sum"), helper.make_node("Relu", ["a.sum"], ["a"], "relu1"),
        conv("conv2", "a", "b.sum"), helper.make_node("Relu", ["b.sum"], ["b"], "relu2"),
        conv("conv3", "b", "c.conv"), helper.make_node("Add", ["c.conv", "b"], ["c.sum"], "residual"),
        helper.make_node("Relu", ["c.sum"], ["c"], "relu3"),
        helper.make_node("MaxPool", ["c"], ["d"], "max_pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], "average_pool"),
        helper.make_node("Flatten", ["e"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "dense.weight", "dense.bias"], ["logits"], "dense", transB=1),
    ]


def _activation_parameters(values: np.ndarray) -> tuple[float, int]:
    """(scale, zero point) of int8 that reach from the least to the greatest value, 0 included."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = float(np.float32((high - low) / 255))
    return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127))


class _Quantised:
    """The nodes and constants of the int8 model as they are made."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def operator(self, node: onnx.NodeProto, parameters: dict[str, tuple[float, int]], p: Parameters) -> None:
        """The operator on dequantised tensors; its output is quantised if it has parameters."""
        source, output = node.input[0], node.output[0]
        real = [f"{name}.real" if name in parameters else name for name in node.input]
        if f"{node.name}.weight" in p:
            real[1:] = self.weights(p, node.name, parameters[source][0])
        made = f"{output}.float" if output in parameters else output
        copy = helper.make_node(node.op_type, real, [made], node.name)
        copy.attribute.extend(node.attribute)
        self.nodes.append(copy)
        if output in parameters:
            self.quantise(made, output, parameters[output], "logits" if output == "logits" else f"{output}.real")

    def quantise(self, source: str, name: str, parameters: tuple[float, int], real: str | None = None) -> None:
        """source -> NAME.int8 -> `real`, by default NAME.real."""
        scale, zero_point = parameters
        names = [self.constant(f"{name}.scale", np.float32(scale)), self.constant(f"{name}.zero", np.int8(zero_point))]
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *names], [f"{name}.int8"], f"{name}.quantize"))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}.int8", *names], [real or f"{name}.real"],
                                           f"{name}.dequantize"))

    def weights(self, p: Parameters, name: str, source_scale: float) -> list[str]:
        """Dequantised weight and bias of one operator."""
        weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
        scale = (np.abs(weight).reshape(len(weight), -1).max(1) / 127).astype(np.float32)
        stored = np.clip(np.rint(weight / scale.reshape((-1,) + (1,) * (weight.ndim - 1))), -127, 127).astype(np.int8)
        bias_scale = (scale * np.float32(source_scale)).astype(np.float32)
        return [self._by_channel(f"{name}.weight", stored, scale),
                self._by_channel(f"{name}.bias", np.rint(bias / bias_scale).astype(np.int32), bias_scale)]

    def _by_channel(self, name: str, stored: np.ndarray, scale: np.ndarray) -> str:
        names = [self.constant(f"{name}.stored", stored), self.constant(f"{name}.scale", scale),
                 self.constant(f"{name}.zero", np.zeros(len(scale), stored.dtype))]
        self.nodes.append(helper.make_node("DequantizeLinear", names, [f"{name}.real"], f"{name}.dequantize", axis=0))
        return f"{name}.real"


def _model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "digits", [image], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="weft")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
