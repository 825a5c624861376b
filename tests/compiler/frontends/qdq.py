"""Small QDQ models for tests, built with onnx.helper: every operator's output is quantised by the range it really takes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

OPSET = 19  # the earliest for which onnx.reference has DequantizeLinear


class Qdq:
    """`y = q.op("Conv", [q.x, *q.weights(...)], ...)`, `q.model(y)`. Names stand for dequantised tensors."""

    def __init__(self, shape, seed: int = 0, unsigned: bool = False, scale: float = 0.02, zero_point: int = 3):
        self.rng, self.unsigned = np.random.default_rng(seed), unsigned
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shape, self.count, self.scales = tuple(shape), 0, {}
        self.x = self.quantise("x", scale, zero_point)

    def constant(self, value, stem="c") -> str:
        self.count += 1
        name = f"{stem}{self.count}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def quantise(self, source: str, scale: float, zero_point: int) -> str:
        """Q and DQ; zero_point as for int8."""
        zero = np.uint8(zero_point + 128) if self.unsigned else np.int8(zero_point)
        parameters = [self.constant(np.float32(scale), "scale"), self.constant(zero, "zero")]
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *parameters], [f"{source}.q"], f"{source}.quantize"))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{source}.q", *parameters], [f"{source}.dq"],
                                           f"{source}.dequantize"))
        self.scales[f"{source}.dq"] = np.float32(scale)
        return f"{source}.dq"

    def weights(self, source: str, shape, axis: int = 0, bias: bool = True) -> list[str]:
        """Dequantised int8 weights with a scale for each index of `axis`, and an int32 bias."""
        channels = shape[axis]
        scale = self.rng.uniform(0.002, 0.02, channels).astype(np.float32)
        names = [self._by_channel(self.rng.integers(-127, 128, shape).astype(np.int8), scale, axis)]
        if bias:
            values = self.rng.integers(-3000, 3000, channels).astype(np.int32)
            names.append(self._by_channel(values, scale * self.scales[source], 0))
        return names

    def _by_channel(self, stored, scale, axis) -> str:
        parameters = [self.constant(stored, "w"), self.constant(scale, "scale"),
                      self.constant(np.zeros(len(scale), stored.dtype), "zero")]
        name = f"{parameters[0]}.dq"
        self.nodes.append(helper.make_node("DequantizeLinear", parameters, [name], name, axis=axis))
        return name

    def plain(self, op: str, inputs: list[str], **attrs) -> str:
        """An operator whose output stays real."""
        self.count += 1
        name = f"{op.lower()}{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attrs))
        return name

    def op(self, kind: str, inputs: list[str], quantisation=None, **attrs) -> str:
        """An operator and the quantisation of its output: (scale, zero point) given, or measured on random inputs."""
        name = self.plain(kind, inputs, **attrs)
        return self.quantise(name, *(quantisation or self._measured(name)))

    def _measured(self, name: str) -> tuple[float, int]:
        values = self.run(self.images(8), name)
        low, high = min(values.min(), 0), max(values.max(), 1e-3)
        scale = float((high - low) / 255)
        return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127))

    def images(self, count: int) -> list[np.ndarray]:
        rng = np.random.default_rng(99)
        return [(rng.standard_normal(self.shape) * 1.2).astype(np.float32) for _ in range(count)]

    def run(self, images, output: str) -> np.ndarray:
        """ONNX's reference evaluator on some images."""
        evaluator = ReferenceEvaluator(self.model(output))
        return np.concatenate([evaluator.run(None, {"x": x})[0] for x in images])

    def model(self, output: str) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        model = helper.make_model(helper.make_graph(self.nodes, "test", [x], [y], self.constants),
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 9
        return shape_inference.infer_shapes(model)
