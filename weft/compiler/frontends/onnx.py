"""ONNX models, opset 13 and up (older ones are converted), quantised to int8 or uint8 by QDQ or QLinear operators, or in
float.

`QuantizeLinear` and `DequantizeLinear` become `quantize` and `dequantize`; other operators keep their ONNX names, and those
that have no kernel become `Onnx`, which ONNX's reference evaluator computes. uint8 tensors become int8 by lowering their
zero points by 128; at the network's edge a node converts.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from weft.isa import WeftError
from weft.runtime.kernels.windows import pool_pads

from ..graph import DTYPES, Graph, Node, TensorType, check_type
from .onnx_file import infer, opsets, parse
from .onnx_operators import QUANTISERS, UNKNOWN, cannot_import, reference_node
from .onnx_qlinear import expand_quantised

MOVES = ("Concat", "Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")


def load(data: bytes, name: str, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """The graph of a serialised ONNX model; errors as for `frontends.load`."""
    model = infer(expand_quantised(parse(data, name)), name, input_shapes or {})
    return _Importer(model.graph, name, opsets(model)).graph


def _dtype(subject: str, elem_type: int) -> str:
    try:
        name = np.dtype(helper.tensor_dtype_to_np_dtype(elem_type)).name
    except (KeyError, ValueError):
        name = f"number {elem_type}"
    if name not in DTYPES:
        raise WeftError(subject, f"a dtype must be one of {', '.join(DTYPES[:-1])}", name, "to quantise the model to int8")
    return name


class _Importer:
    """Builds the graph node by node. `self.graph` is the result."""

    def __init__(self, source: onnx.GraphProto, name: str, opsets: Mapping[str, int]):
        self.graph, self.opsets = Graph(name), opsets
        self.uint8: set[str] = set()  # tensors that were uint8 and are stored as int8
        for tensor in source.initializer:
            self._constant(tensor.name, numpy_helper.to_array(tensor))
        for value in source.input:
            if value.name not in self.graph.constants:
                self._input(value)
        self.inferred = {v.name: v for v in (*source.value_info, *source.output)}
        for index, node in enumerate(source.node):
            self._node(node, index)
        for value in source.output:
            self._output(value.name)
        self.graph.prune()
        self.graph.validate()

    def _constant(self, name: str, value: np.ndarray) -> None:
        if value.dtype.name not in DTYPES:
            raise WeftError(f"constant '{name}'", f"a dtype must be one of {', '.join(DTYPES[:-1])}", value.dtype.name,
                            "to quantise the model to int8")
        if value.dtype == np.uint8:
            value, _ = (value ^ np.uint8(128)).view(np.int8), self.uint8.add(name)
        self.graph.constants[name] = value
        self.graph.tensors[name] = TensorType(value.shape, value.dtype.name)

    def _input(self, value: onnx.ValueInfoProto) -> None:
        type_ = self._value_type(f"input '{value.name}'", value)
        self.graph.inputs.append(value.name)
        self.graph.tensors[value.name] = type_
        if type_.dtype == "uint8":
            stored = self.graph.add_tensor(f"{value.name}.int8", TensorType(type_.shape, "int8"))
            self.graph.nodes.append(Node(stored, "uint8_to_int8", [value.name], [stored]))
            self.uint8.add(stored)

    def _output(self, name: str) -> None:
        if name in self.uint8 and name in self.graph.tensors:
            type_ = self.graph.tensors[name]
            final = self.graph.add_tensor(f"{name}.uint8", TensorType(type_.shape, "uint8"))
            self.graph.nodes.append(Node(final, "int8_to_uint8", [name], [final]))
            name = final
        self.graph.outputs.append(name)

    def _value_type(self, subject: str, value: onnx.ValueInfoProto) -> TensorType:
        tensor = value.type.tensor_type
        return TensorType(tuple(d.dim_value for d in tensor.shape.dim), _dtype(subject, tensor.elem_type))

    def _node(self, proto: onnx.NodeProto, index: int) -> None:
        name = proto.name or (proto.output[0] if proto.output else f"node {index}")
        subject = f"node '{name}' ({proto.op_type})"
        attrs = {a.name: _attribute(subject, a) for a in proto.attribute}
        rule, found, hint = cannot_import(proto, attrs)
        op, reason = proto.op_type, ""
        if rule:
            attrs = reference_node(proto, self.opsets.get("" if proto.domain == "ai.onnx" else proto.domain, 1))
            if attrs is None:
                raise WeftError(subject, rule, found, hint)
            op, reason = "Onnx", "ONNX's reference evaluator computes it"
            reason += "" if rule == UNKNOWN else f": {rule}, but found {found}"
        elif proto.op_type == "Constant":
            self._constant(proto.output[0], _constant_value(subject, attrs))
            return
        inputs = [f"{i}.int8" if f"{i}.int8" in self.graph.tensors and i in self.graph.inputs else i for i in proto.input]
        while inputs and not inputs[-1]:
            inputs.pop()
        if proto.op_type in QUANTISERS:
            self._quantiser(subject, name, proto, inputs, attrs)
            return
        outputs = [o for o in proto.output if o]
        for output in outputs:
            self.graph.tensors[output] = self._inferred_type(subject, output)
        if self._moves_stored(proto, inputs):
            self._inherit(inputs[0], outputs[0])
        else:
            inputs = [self._as_uint8(tensor) if tensor in self.uint8 else tensor for tensor in inputs]
        if op in ("MaxPool", "AveragePool"):
            self._check_pool(subject, inputs[0], outputs[0], attrs)
        if op == "Cast":
            attrs = {"to": _dtype(subject, attrs["to"])}
        elif op == "ConstantOfShape":
            value = attrs.get("value", np.zeros(1, np.float32))
            attrs = {"value": value.reshape(-1)[0].item(), "dtype": value.dtype.name}
        elif op == "Dropout":  # which does nothing but in training
            op, inputs, attrs = "Identity", inputs[:1], {}
        elif op == "Sum" and len(inputs) == 2:
            op = "Add"
        made, after = self._unsigned_outputs(outputs)
        self.graph.nodes += [Node(name, op, inputs, made, attrs, reason=reason), *after]

    def _moves_stored(self, proto: onnx.NodeProto, inputs: list[str]) -> bool:
        """Whether values come out as they are stored, so that the output is quantised as the input is."""
        if proto.op_type not in MOVES or not inputs:
            return False
        read = inputs if proto.op_type == "Concat" else inputs[:1]
        types = {(self.graph.tensors[tensor].quantisation, tensor in self.uint8) for tensor in read}
        return len(types) == 1 and self.graph.tensors[read[0]].quantised and self.graph.tensors[read[0]].axis is None

    def _inherit(self, source: str, target: str) -> None:
        shape = self.graph.tensors[target].shape
        self.graph.tensors[target] = dataclasses.replace(self.graph.tensors[source], shape=shape)
        if source in self.uint8:
            self.uint8.add(target)

    def _as_uint8(self, name: str) -> str:
        """The values as the model has them, for an operator that looks at these."""
        made = self.graph.add_tensor(f"{name}.uint8", TensorType(self.graph.tensors[name].shape, "uint8"))
        self.graph.nodes.append(Node(made, "int8_to_uint8", [name], [made]))
        return made

    def _unsigned_outputs(self, outputs: list[str]) -> tuple[list[str], list[Node]]:
        """Names for an operator's outputs, and nodes that make int8 of those that are uint8."""
        made, after = [], []
        for name in outputs:
            type_ = self.graph.tensors[name]
            if type_.dtype == "uint8":
                raw = self.graph.add_tensor(f"{name}.raw", type_)
                self.graph.tensors[name] = dataclasses.replace(type_, dtype="int8")
                self.uint8.add(name)
                after.append(Node(f"{name}.int8", "uint8_to_int8", [raw], [name]))
                name = raw
            made.append(name)
        return made, after

    def _check_pool(self, subject: str, source: str, target: str, attrs: dict) -> None:
        """Runtimes leave out windows that would begin beyond the input; ONNX's shape inference counts them."""
        size, kernel = self.graph.tensors[source].shape[2:], attrs["kernel_shape"]
        (top, left, bottom, right), extra = pool_pads(attrs, size, kernel)
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, attrs.get("dilations", (1, 1)), strict=True)]
        whole = (size[0] + top + bottom + extra[0] - reach[0], size[1] + left + right + extra[1] - reach[1])
        found = tuple(n // s + 1 for n, s in zip(whole, attrs.get("strides", (1, 1)), strict=True))
        stated = self.graph.tensors[target].shape[2:]
        if found != stated:
            raise WeftError(subject, f"its windows must begin inside the input, which gives an output of {list(found)}",
                            str(list(stated)), "padding in place of ceil_mode")

    def _inferred_type(self, subject: str, name: str) -> TensorType:
        value = self.inferred.get(name)
        if value is None or not value.type.tensor_type.HasField("shape") or any(
                not d.HasField("dim_value") for d in value.type.tensor_type.shape.dim):
            raise WeftError(subject, "every output must have a static shape", f"none for '{name}'",
                            "to export the model with static shapes")
        return self._value_type(subject, value)

    def _quantiser(self, subject: str, name: str, proto: onnx.NodeProto, inputs: list[str], attrs: dict) -> None:
        scale, zero_point, dtype = self._parameters(subject, proto, inputs)
        source = self.graph.tensors[inputs[0]]
        axis = attrs.get("axis", 1) % max(len(source.shape), 1) if isinstance(scale, tuple) else None
        if proto.op_type == "QuantizeLinear":
            stored, output = TensorType(source.shape, dtype, scale, zero_point, axis), proto.output[0]
            made = stored
            params = {"scale": scale, "zero_point": zero_point, "dtype": dtype, "rounding": self.graph.rounding}
            if f"{dtype}" == "int8" and self._is_unsigned(proto):
                self.uint8.add(output)
        else:
            stored, output = TensorType(source.shape, source.dtype, scale, zero_point, axis), proto.output[0]
            made = TensorType(source.shape, "float32")
            params = {"scale": scale, "zero_point": zero_point}
            if source.quantised and source.quantisation != stored.quantisation:
                inputs = [self._copied(subject, inputs[0])]
            self.graph.tensors[inputs[0]] = stored
        check_type(subject, stored)
        if axis is not None:
            params["axis"] = axis
        self.graph.tensors[output] = made
        op = QUANTISERS[proto.op_type]
        self.graph.nodes.append(Node(name, op, [inputs[0]], [output], params))

    def _copied(self, subject: str, name: str) -> str:
        """A constant once more, for a second way to quantise it."""
        if name not in self.graph.constants:
            raise WeftError(subject, "a tensor must be quantised in one way", f"'{name}' in two",
                            "the same scale and zero point in every QuantizeLinear and DequantizeLinear of a tensor")
        return self.graph.add_constant(name, self.graph.constants[name])

    def _is_unsigned(self, proto: onnx.NodeProto) -> bool:
        return len(proto.input) < 3 or not proto.input[2] or proto.input[2] in self.uint8

    def _parameters(self, subject: str, proto: onnx.NodeProto, inputs: list[str]):
        """(scale, zero point, dtype of the stored values), already lowered by 128 where those were uint8."""
        for name in inputs[1:]:
            if name not in self.graph.constants:
                raise WeftError(subject, "scale and zero point must be constants", f"'{name}', which is computed",
                                "static quantisation")
        scale = self.graph.constants[inputs[1]]
        if scale.dtype != np.float32:
            raise WeftError(subject, "a scale must be float32", scale.dtype.name, "to export the model in float32")
        if len(inputs) > 2:
            zero_point = self.graph.constants[inputs[2]]
        else:
            # ONNX's default is 0 of the stored dtype, which is uint8 for QuantizeLinear
            quantises = proto.op_type == "QuantizeLinear"
            unsigned = quantises or inputs[0] in self.uint8
            dtype = np.int8 if quantises else self.graph.tensors[inputs[0]].numpy
            zero_point = np.full(scale.shape, -128 if unsigned and dtype == np.int8 else 0, dtype)
        if zero_point.size != scale.size:
            raise WeftError(subject, "there must be as many zero points as scales", f"{zero_point.size} and {scale.size}",
                            "to quantise the model again")
        if scale.size == 1 and scale.ndim <= 1:
            return float(scale.reshape(-1)[0]), int(zero_point.reshape(-1)[0]), zero_point.dtype.name
        if scale.ndim != 1:
            raise WeftError(subject, "a scale must be one number or one an index of an axis", f"shape {scale.shape}",
                            "quantisation by tensor or by channel")
        return tuple(map(float, scale)), tuple(map(int, zero_point)), zero_point.dtype.name


def _attribute(subject: str, attribute: onnx.AttributeProto):
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, (onnx.GraphProto, onnx.SparseTensorProto)):
        raise WeftError(subject, "an attribute must be numbers, text or a tensor", f"{attribute.name}", "a model without it")
    return tuple(value) if isinstance(value, (list, tuple)) or hasattr(value, "__len__") and not isinstance(value, str) \
        else value


def _constant_value(subject: str, attrs: dict) -> np.ndarray:
    for key, dtype in (("value", None), ("value_float", np.float32), ("value_int", np.int64),
                       ("value_floats", np.float32), ("value_ints", np.int64)):
        if key in attrs:
            return np.asarray(attrs[key], dtype)
    raise WeftError(subject, "a constant must be numbers", f"{', '.join(attrs) or 'no value'}", "a model without it")
