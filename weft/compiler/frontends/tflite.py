"""TFLite models: int8 or uint8 with scales by tensor or by channel, or float.

TFLite's tensors are [N, H, W, C]. Every tensor of four axes gets a second form `NAME.nchw`, made on demand, and operators on
maps work on that; the network's inputs and outputs keep TFLite's layout and dtype. uint8 becomes int8 inside by lowering
zero points by 128.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from weft.isa import WeftError

from ..graph import Graph, Node, TensorType, check_type
from . import tflite_moves, tflite_operators  # noqa: F401 (moves enter themselves into the table)
from .shapes import check_shapes
from .tflite_file import Model, Operator, Tensor, parse, short_name

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def load(data: bytes, name: str, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """The graph of a TFLite flatbuffer; errors as for `frontends.load`. `input_shapes` may only repeat the file's own."""
    model = parse(data, name)
    for index in model.inputs:
        tensor = model.tensors[index]
        wanted = tuple((input_shapes or {}).get(tensor.name, tensor.shape))
        if wanted != tensor.shape:
            raise WeftError(f"input '{tensor.name}'", f"the shape of a TFLite input is the file's, {list(tensor.shape)}",
                            str(list(wanted)), "to convert the model with that shape")
    return Importer(model, name).graph


class Importer:
    """Builds the graph operator by operator. `self.graph` is the result."""

    def __init__(self, model: Model, name: str):
        self.graph = Graph(name, rounding="half_away")
        self.tensors = model.tensors
        self.forms: dict[tuple[int, bool], str] = {}  # (tensor, whether NCHW) -> name in the graph
        self.names = self._unique_names(model)
        for index in model.inputs:
            self._input(index)
        for operator in model.operators:
            tflite_operators.convert(self, operator)
        for index in model.outputs:
            self._output(index, f"output '{self.tensors[index].name}'")
        self.graph.prune()
        self.graph.validate()
        check_shapes(self.graph)

    @staticmethod
    def _unique_names(model: Model) -> list[str]:
        """A name of its own for each tensor: short ones, but for the network's own inputs and outputs."""
        edge = list(dict.fromkeys((*model.inputs, *model.outputs)))
        names: dict[int, str] = {}
        for index in (*edge, *(i for i in range(len(model.tensors)) if i not in edge)):
            name = model.tensors[index].name if index in edge else short_name(model.tensors[index].name)
            names[index] = name if name and name not in names.values() else f"{name or 'tensor'}.{index}"
        return [names[index] for index in range(len(model.tensors))]

    def _input(self, index: int) -> None:
        type_, name = self.raw_type(index), self.names[index]
        self.graph.inputs.append(name)
        if self.tensors[index].dtype != "uint8":
            self.graph.tensors[name] = type_
            self.forms[index, False] = name
            return
        self.graph.tensors[name] = _unsigned(type_)
        stored = self.graph.add_tensor(f"{name}.int8", type_)
        self.graph.nodes.append(Node(stored, "uint8_to_int8", [name], [stored]))
        self.forms[index, False] = stored

    def _output(self, index: int, subject: str) -> None:
        stored = self.read(index, False, subject)
        if self.tensors[index].dtype == "uint8":
            name = self.graph.add_tensor(f"{self.names[index]}.uint8", _unsigned(self.raw_type(index)))
            self.graph.nodes.append(Node(name, "int8_to_uint8", [stored], [name]))
            stored = name
        self.graph.outputs.append(stored)

    def raw_type(self, index: int) -> TensorType:
        """The type in TFLite's layout, with int8 for uint8."""
        tensor = self.tensors[index]
        scale, zero_point, axis = _quantisation(tensor)
        type_ = TensorType(tensor.shape, "int8" if tensor.dtype == "uint8" else tensor.dtype, scale, zero_point, axis)
        check_type(f"tensor '{self.names[index]}'", type_)
        return type_

    def type_of(self, index: int, nchw: bool) -> TensorType:
        type_ = self.raw_type(index)
        if not nchw:
            return type_
        if len(type_.shape) != 4:
            raise WeftError(f"tensor '{self.names[index]}'", "it must have 4 axes, as its neighbours have", str(type_.shape),
                            "to convert or download the model again")
        return dataclasses.replace(type_, shape=tuple(type_.shape[p] for p in TO_NCHW))

    def read(self, index: int, nchw: bool, subject: str) -> str:
        """The name of a tensor in one of its two forms, made from the other one if need be."""
        if (index, nchw) not in self.forms:
            self._make_form(index, nchw, subject)
        return self.forms[index, nchw]

    def _make_form(self, index: int, nchw: bool, subject: str) -> None:
        tensor = self.tensors[index]
        suffix = ".nchw" if nchw else ""
        if tensor.data is not None:
            value = tensor.data if tensor.dtype != "uint8" else (tensor.data ^ np.uint8(128)).view(np.int8)
            value = value.transpose(TO_NCHW) if nchw else value
            type_ = self.type_of(index, nchw)
            self.forms[index, nchw] = self.graph.add_constant(f"{self.names[index]}{suffix}", value, type_.scale,
                                                              type_.zero_point, type_.axis)
            return
        if (index, not nchw) not in self.forms:
            raise WeftError(subject, "an input must be made by an earlier operator", f"'{self.names[index]}'",
                            "to convert the model again")
        made = self.graph.add_tensor(f"{self.names[index]}{suffix}", self.type_of(index, nchw))
        perm = TO_NCHW if nchw else TO_NHWC
        other = self.forms[index, not nchw]
        self.graph.nodes.append(Node(f"{made}.transpose", "Transpose", [other], [made], {"perm": perm}))
        self.forms[index, nchw] = made

    def write(self, index: int, nchw: bool) -> str:
        """The name under which an operator makes a tensor."""
        name = self.graph.add_tensor(f"{self.names[index]}{'.nchw' if nchw else ''}", self.type_of(index, nchw))
        self.forms[index, nchw] = name
        return name

    def emit(self, operator: Operator, op: str, inputs: list[str], attrs: dict, nchw: bool, output: int = 0) -> None:
        """A node that makes one of the operator's outputs."""
        name = operator.name if len(operator.outputs) == 1 else f"{operator.name}.{output}"
        self.graph.nodes.append(Node(name, op, inputs, [self.write(operator.outputs[output], nchw)], attrs))


def _unsigned(type_: TensorType) -> TensorType:
    zero_point = None if type_.zero_point is None else type_.zero_point + 128
    return dataclasses.replace(type_, dtype="uint8", zero_point=zero_point)


def _quantisation(tensor: Tensor) -> tuple:
    """(scale, zero point, axis) as a TensorType has them."""
    if not tensor.scales:
        return None, None, None
    lowered = 128 if tensor.dtype == "uint8" else 0
    zero_points = tuple(z - lowered for z in tensor.zero_points or (0,) * len(tensor.scales))
    if len(tensor.scales) == 1:
        return tensor.scales[0], zero_points[0], None
    return tensor.scales, zero_points, tensor.axis
