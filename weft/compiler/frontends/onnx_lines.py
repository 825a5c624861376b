"""Operators on lines [N, C, L] become operators on images [N, C, 1, L]: one-dimensional convolutions and pools, and what
computes on their results value by value.

    Conv(x, w), Relu, ...    -> Squeeze(Relu(Conv(Unsqueeze(x), w)))
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

WINDOWS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
BY_VALUE = ("Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "HardSigmoid", "Elu", "Selu", "Gelu", "Softplus",
            "Mish", "Identity", "Dropout", "BatchNormalization", "QuantizeLinear", "DequantizeLinear")
SEVERAL = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Concat")
_FRONT = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}  # what rows have


def widen_lines(model: onnx.ModelProto) -> bool:
    """Rewrites a model whose shapes are inferred; says whether there were lines. The inferred shapes are dropped then."""
    lines = _Lines(model.graph)
    lines.run()
    return bool(lines.wide)


class _Lines:
    def __init__(self, graph: onnx.GraphProto):
        self.graph = graph
        self.constants = {t.name: t for t in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        values = (*graph.input, *graph.value_info, *graph.output)
        self.ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in values}
        self.wide: dict[str, str] = {}  # tensor -> its name as images
        self.made: list[onnx.NodeProto] = []

    def run(self) -> None:
        nodes = list(self.graph.node)
        for node in nodes:
            if node.domain in ("", "ai.onnx") and (self._window(node) or self._follows(node)):
                self._widen(node)
            else:
                self.made.append(node)
        if self.wide:
            del self.graph.node[:], self.graph.value_info[:]
            self.graph.node.extend(self.made)

    def _window(self, node: onnx.NodeProto) -> bool:
        return node.op_type in WINDOWS and self.ranks.get(node.input[0]) == 3

    def _follows(self, node: onnx.NodeProto) -> bool:
        """Whether the node computes on lines that are images already, value by value or by channel."""
        if node.op_type in BY_VALUE:
            by_tensor = "Linear" not in node.op_type or self._size(node.input[1]) == 1
            return node.input[0] in self.wide and by_tensor
        if node.op_type == "Concat" and next(a.i for a in node.attribute if a.name == "axis") not in (1, -2):
            return False
        return node.op_type in SEVERAL and any(name in self.wide for name in node.input) \
            and all(name in self.wide or self._size(name) == 1 and node.op_type != "Concat" for name in node.input)

    def _size(self, name: str) -> int | None:
        return int(np.prod(self.constants[name].dims)) if name in self.constants else None

    def _widen(self, node: onnx.NodeProto) -> None:
        made = onnx.NodeProto()
        made.CopyFrom(node)
        for i, name in enumerate(node.input):
            if name in self.wide or i == 0 and self._window(node):
                made.input[i] = self._image(name)
            elif i == 1 and self._window(node):
                made.input[i] = self._kernel(name)
        for attribute in made.attribute:
            if attribute.name in _FRONT and self._window(node):
                attribute.ints.insert(0, _FRONT[attribute.name])
            elif attribute.name == "pads" and len(attribute.ints) == 2:
                attribute.ints[:] = [0, attribute.ints[0], 0, attribute.ints[1]]
            elif attribute.name == "axis" and node.op_type == "Concat":
                attribute.i = 1
        made.output[0] = self.wide[node.output[0]] = f"{node.output[0]}.image"
        back = helper.make_node("Squeeze", [made.output[0], self._axis()], [node.output[0]], f"{node.output[0]}.line")
        self.made += [made, back]

    def _image(self, name: str) -> str:
        if name not in self.wide:
            self.wide[name] = f"{name}.image"
            self.made.append(helper.make_node("Unsqueeze", [name, self._axis()], [self.wide[name]], self.wide[name]))
        return self.wide[name]

    def _kernel(self, name: str) -> str:
        """Weights with a single row; those that are stored stay constants."""
        if name in self.constants:
            return self._constant(name)
        maker = self.makers.get(name)
        if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in self.constants:
            return self._image(name)
        made = onnx.NodeProto()
        made.CopyFrom(maker)
        made.input[0], made.output[0], made.name = self._constant(maker.input[0]), f"{name}.image", f"{name}.image"
        for attribute in made.attribute:
            if attribute.name == "axis":  # of weights: outputs or inputs, before the new axis
                attribute.i %= len(self.constants[maker.input[0]].dims)
        self.made.append(made)
        return made.output[0]

    def _constant(self, name: str) -> str:
        value = np.expand_dims(numpy_helper.to_array(self.constants[name]), 2)
        return self._add(f"{name}.image", value)

    def _axis(self) -> str:
        return self._add("lines.axis", np.array([2], np.int64))

    def _add(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
            self.graph.initializer.append(self.constants[name])
        return name
