"""Operators on stored integers become operators on real numbers between `DequantizeLinear` and `QuantizeLinear`.

    QLinearConv, QLinearMatMul                                         of ONNX
    QGemm, QLinearAdd, QLinearMul, QLinearConcat, QLinearLeakyRelu,
    QLinearSigmoid, QLinearAveragePool, QLinearGlobalAveragePool       of com.microsoft

The rest of the compiler knows one form of quantisation; this step makes it.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from weft.isa import WeftError

MICROSOFT = "com.microsoft"


def expand_quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model without the operators above.

    Raises
    ------
    WeftError: for one whose scales are computed, or whose attributes have no counterpart.
    """
    if not any(_rule(node) for node in model.graph.node):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _Expander(made.graph).run()
    return made


def _rule(node: onnx.NodeProto) -> "Callable[[_Expander, onnx.NodeProto], None] | None":
    return _RULES.get((node.domain, node.op_type))


class _Expander:
    """Rewrites a graph in place; every new name begins with that of the node which it comes from."""

    def __init__(self, graph: onnx.GraphProto):
        self.graph, self.made = graph, []
        self.constants = {t.name: t for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t

    def run(self) -> None:
        nodes = list(self.graph.node)
        for node in nodes:
            rule = _rule(node)
            if rule is None:
                if node.domain == MICROSOFT and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                    node.domain = ""
                self.made.append(node)
            else:
                rule(self, node)
        del self.graph.node[:]
        self.graph.node.extend(self.made)

    def constant(self, node: onnx.NodeProto, name: str) -> np.ndarray:
        if name not in self.constants:
            raise WeftError(_subject(node), "scale and zero point must be constants", f"'{name}', which is computed",
                            "static quantisation")
        return numpy_helper.to_array(self.constants[name])

    def add_constant(self, name: str, value: np.ndarray) -> str:
        tensor = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def dequantize(self, node: onnx.NodeProto, stored: str, parameters: list[str], axis: int | None = None) -> str:
        """The name of the real numbers. Scales of one value become scalars; others go along `axis`."""
        real = f"{_name(node)}.{len(self.made)}.{stored}.real"
        sizes = {self.constant(node, name).size for name in parameters if name}
        if sizes == {1}:
            parameters = [self.add_constant(f"{real}.{i}", self.constant(node, name).reshape(()))
                          for i, name in enumerate(parameters) if name]
            axis = None
        attrs = {} if axis is None else {"axis": axis}
        self.made.append(helper.make_node("DequantizeLinear", [stored, *parameters], [real], f"{real}.dequantize", **attrs))
        return real

    def bias(self, node: onnx.NodeProto, stored: str, scales: list[str], alpha: float = 1.0) -> str:
        """Real numbers of an int32 bias, whose scale is the product of those of input and weights."""
        x, w = (self.constant(node, name).astype(np.float32) for name in scales)
        scale = np.float32(alpha) * x.reshape(-1)[0] * w
        name = self.add_constant(f"{_name(node)}.bias.scale", scale)
        zero = self.add_constant(f"{_name(node)}.bias.zero", np.zeros(scale.shape, np.int32))
        return self.dequantize(node, stored, [name, zero], 0)

    def emit(self, node: onnx.NodeProto, op: str, inputs: list[str], parameters: list[str], **attrs) -> None:
        """The operator on real numbers and the quantisation of its output."""
        real = f"{node.output[0]}.real"
        self.made.append(helper.make_node(op, inputs, [real], _name(node), **attrs))
        self.made.append(helper.make_node("QuantizeLinear", [real, *parameters], [node.output[0]],
                                          f"{_name(node)}.quantize"))


def _name(node: onnx.NodeProto) -> str:
    return node.name or node.output[0]


def _subject(node: onnx.NodeProto) -> str:
    return f"node '{_name(node)}' ({node.op_type})"


def _attributes(node: onnx.NodeProto) -> dict:
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if attrs.pop("channels_last", 0):
        raise WeftError(_subject(node), "channels_last must be 0", "1", "to export the model in NCHW")
    return attrs


def _conv(e: _Expander, node: onnx.NodeProto) -> None:
    x, xs, xz, w, ws, wz, ys, yz, *bias = node.input
    real = [e.dequantize(node, x, [xs, xz]), e.dequantize(node, w, [ws, wz], 0)]
    if bias and bias[0]:
        real.append(e.bias(node, bias[0], [xs, ws]))
    e.emit(node, "Conv", real, [ys, yz], **_attributes(node))


def _matmul(e: _Expander, node: onnx.NodeProto) -> None:
    a, as_, az, b, bs, bz, ys, yz = node.input
    e.emit(node, "MatMul", [e.dequantize(node, a, [as_, az]), e.dequantize(node, b, [bs, bz], 1)], [ys, yz])


def _gemm(e: _Expander, node: onnx.NodeProto) -> None:
    a, as_, az, b, bs, bz, c, *y = (*node.input, "", "", "")[:9]
    if not y[0]:
        raise WeftError(_subject(node), "its output must be quantised", "no scale of y", "QDQ around a Gemm")
    attrs = _attributes(node)
    real = [e.dequantize(node, a, [as_, az]), e.dequantize(node, b, [bs, bz], 0 if attrs.get("transB", 0) else 1)]
    if c:
        real.append(e.bias(node, c, [as_, bs], attrs.get("alpha", 1.0)))
    e.emit(node, "Gemm", real, y, **attrs)


def _binary(op: str):
    def rule(e: _Expander, node: onnx.NodeProto) -> None:
        a, as_, az, b, bs, bz, *y = node.input
        e.emit(node, op, [e.dequantize(node, a, [as_, az]), e.dequantize(node, b, [bs, bz])], y, **_attributes(node))
    return rule


def _unary(op: str):
    def rule(e: _Expander, node: onnx.NodeProto) -> None:
        x, xs, xz, *y = node.input
        e.emit(node, op, [e.dequantize(node, x, [xs, xz])], y, **_attributes(node))
    return rule


def _concat(e: _Expander, node: onnx.NodeProto) -> None:
    parts = [e.dequantize(node, node.input[i], list(node.input[i + 1:i + 3])) for i in range(2, len(node.input), 3)]
    e.emit(node, "Concat", parts, list(node.input[:2]), **_attributes(node))


_RULES: dict[tuple[str, str], Callable[[_Expander, onnx.NodeProto], None]] = {
    ("", "QLinearConv"): _conv, ("", "QLinearMatMul"): _matmul, (MICROSOFT, "QGemm"): _gemm,
    (MICROSOFT, "QLinearAdd"): _binary("Add"), (MICROSOFT, "QLinearMul"): _binary("Mul"),
    (MICROSOFT, "QLinearConcat"): _concat, (MICROSOFT, "QLinearLeakyRelu"): _unary("LeakyRelu"),
    (MICROSOFT, "QLinearSigmoid"): _unary("Sigmoid"), (MICROSOFT, "QLinearAveragePool"): _unary("AveragePool"),
    (MICROSOFT, "QLinearGlobalAveragePool"): _unary("GlobalAveragePool"),
}
