"""What each TFLite operator becomes: one function for each family, found by the operator's name. Those that move values are
in `tflite_moves`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tflite

from weft.isa import WeftError

from ..graph import Node
from .tflite_file import Operator

if TYPE_CHECKING:
    from .tflite import Importer

Convert = Callable[["Importer", Operator], None]
_CONVERT: dict[str, Convert] = {}
_LEAST_INPUTS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2,
                 "PADV2": 3, "TRANSPOSE_CONV": 3,
                 "MAXIMUM": 2, "MINIMUM": 2, "PRELU": 2, "SPLIT": 2, "SPLIT_V": 3, "MIRROR_PAD": 2}
_SEVERAL_OUTPUTS = ("SPLIT", "SPLIT_V", "UNPACK")
_PADDING = {tflite.Padding.SAME: "SAME_UPPER", tflite.Padding.VALID: "VALID"}
_ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: {}, tflite.ActivationFunctionType.RELU: {"minimum": 0.0},
    tflite.ActivationFunctionType.RELU6: {"minimum": 0.0, "maximum": 6.0},
    tflite.ActivationFunctionType.RELU_N1_TO_1: {"minimum": -1.0, "maximum": 1.0},
}


def convert(importer: Importer, operator: Operator) -> None:
    """Adds the operator's nodes to the importer's graph; WeftError for one that weft does not know."""
    if operator.kind not in _CONVERT:
        raise WeftError(operator.subject, "an operator must be one that weft can import", operator.kind,
                        f"to replace it by any of {', '.join(sorted(_CONVERT))}")
    least = _LEAST_INPUTS.get(operator.kind, 1)
    if len(operator.inputs) < least or min(operator.inputs[:least]) < 0:
        raise WeftError(operator.subject, f"its first {least} inputs must be there", str(operator.inputs),
                        "to convert the model again")
    if len(operator.outputs) != 1 and operator.kind not in _SEVERAL_OUTPUTS:
        raise WeftError(operator.subject, "it must have one output", str(len(operator.outputs)),
                        "to convert the model again")
    _CONVERT[operator.kind](importer, operator)


def converts(*kinds: str) -> Callable[[Convert], Convert]:
    def register(function: Convert) -> Convert:
        _CONVERT.update(dict.fromkeys(kinds, function))
        return function
    return register


def activation(operator: Operator) -> dict:
    """Attributes minimum and maximum of the activation that is fused into the operator."""
    code = operator.options.get("FusedActivationFunction", tflite.ActivationFunctionType.NONE)
    if code not in _ACTIVATIONS:
        names = {v: k for k, v in vars(tflite.ActivationFunctionType).items() if not k.startswith("_")}
        raise WeftError(operator.subject, "a fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1",
                        names.get(code, str(code)), "to use one of these, or a separate operator")
    return dict(_ACTIVATIONS[code])


def _padding(operator: Operator) -> str:
    """ONNX's auto_pad."""
    code = operator.options["Padding"]
    require(operator, code in _PADDING, "padding must be SAME or VALID", code, "to convert the model again")
    return _PADDING[code]


def require(operator: Operator, holds: bool, rule: str, found: object, hint: str) -> None:
    if not holds:
        raise WeftError(operator.subject, rule, str(found), hint)


def check_rank(importer: Importer, operator: Operator, position: int, rank: int) -> None:
    shape = importer.tensors[operator.inputs[position]].shape
    require(operator, len(shape) == rank, f"input {position} must have {rank} axes", f"shape {list(shape)}",
             "to convert the model with static shapes")


def constant(importer: Importer, operator: Operator, position: int) -> np.ndarray:
    """The value of an input that must be constant."""
    index = operator.inputs[position] if position < len(operator.inputs) else -1
    value = importer.tensors[index].data if index >= 0 else None
    require(operator, value is not None, f"input {position} must be constant", "one that is computed",
             "to convert the model with static shapes")
    return value


def is_map(importer: Importer, index: int) -> bool:
    return len(importer.tensors[index].shape) == 4


def _weights(importer: Importer, operator: Operator, perm: tuple[int, ...]) -> str:
    """The name of the weights with their axes in another order."""
    index = operator.inputs[1]
    value, type_ = constant(importer, operator, 1), importer.raw_type(index)
    value = (value ^ np.uint8(128)).view(np.int8) if value.dtype == np.uint8 else value
    axis = None if type_.axis is None else perm.index(type_.axis)
    return importer.graph.add_constant(f"{importer.names[index]}.oihw", value.transpose(perm), type_.scale, type_.zero_point,
                                       axis)


def _with_bias(importer: Importer, operator: Operator, names: list[str]) -> list[str]:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return names
    return [*names, importer.read(operator.inputs[2], False, operator.subject)]


@converts("CONV_2D", "DEPTHWISE_CONV_2D")
def _conv(importer: Importer, operator: Operator) -> None:
    check_rank(importer, operator, 0, 4)
    check_rank(importer, operator, 1, 4)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    options = operator.options
    shape, channels = importer.tensors[operator.inputs[1]].shape, importer.tensors[operator.inputs[0]].shape[3]
    attrs = {"strides": (options["StrideH"], options["StrideW"]), "kernel_shape": tuple(shape[1:3]),
             "dilations": (options["DilationHFactor"], options["DilationWFactor"]), "auto_pad": _padding(operator),
             "group": channels if depthwise else channels // shape[3]}
    attrs |= activation(operator)
    weight = _weights(importer, operator, (3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    names = [importer.read(operator.inputs[0], True, operator.subject), weight]
    importer.emit(operator, "Conv", _with_bias(importer, operator, names), attrs, True)


@converts("TRANSPOSE_CONV")
def _transpose_conv(importer: Importer, operator: Operator) -> None:
    """Inputs: the output's shape, weights [O, KH, KW, C], x, and the bias if there is one."""
    options, (_, weight, x, *bias) = operator.options, operator.inputs
    check_rank(importer, operator, 1, 4)
    check_rank(importer, operator, 2, 4)
    kernel, size, out = (importer.tensors[i].shape[1:3] for i in (weight, x, operator.outputs[0]))
    strides = (options["StrideH"], options["StrideW"])
    beyond = [(n - 1) * s + k - o for n, s, k, o in zip(size, strides, kernel, out)]  # what padding takes away
    before = [max(b, 0) // 2 if _padding(operator) == "SAME_UPPER" else 0 for b in beyond]
    attrs = {"strides": strides, "kernel_shape": tuple(kernel), "group": 1,
             "pads": (*before, *(max(b, 0) - a for a, b in zip(before, beyond))),
             "output_padding": tuple(max(-b, 0) for b in beyond)} | activation(operator)
    names = [importer.read(x, True, operator.subject), _weights(importer, operator, (3, 0, 1, 2))]
    names += [importer.read(i, False, operator.subject) for i in bias if i >= 0]
    importer.emit(operator, "ConvTranspose", names, attrs, True)


@converts("FULLY_CONNECTED")
def _fully_connected(importer: Importer, operator: Operator) -> None:
    options = operator.options
    check_rank(importer, operator, 1, 2)
    require(operator, options["WeightsFormat"] == 0, "weights_format must be 0", options["WeightsFormat"],
             "to convert without shuffled weights")
    source, target = (importer.tensors[i].shape for i in (operator.inputs[0], operator.outputs[0]))
    rows, depth = importer.tensors[operator.inputs[1]].shape
    name, graph = importer.read(operator.inputs[0], False, operator.subject), importer.graph
    flat = (int(np.prod(source)) // depth, depth)
    if source != flat:
        type_ = graph.tensors[name]
        made = graph.add_tensor(f"{name}.flat", type(type_)(flat, type_.dtype, type_.scale, type_.zero_point))
        graph.nodes.append(Node(f"{operator.name}.flatten", "Reshape", [name], [made], {"shape": flat}))
        name = made
    require(operator, target == (flat[0], rows), f"its output must have shape {[flat[0], rows]}", list(target),
             "to convert with keep_num_dims = false")
    names = _with_bias(importer, operator, [name, importer.read(operator.inputs[1], False, operator.subject)])
    attrs = {"transB": 1} | activation(operator)
    importer.emit(operator, "Gemm", names, attrs, False)


@converts("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(importer: Importer, operator: Operator) -> None:
    check_rank(importer, operator, 0, 4)
    options = operator.options
    attrs = {"kernel_shape": (options["FilterHeight"], options["FilterWidth"]),
             "strides": (options["StrideH"], options["StrideW"]), "auto_pad": _padding(operator)}
    attrs |= activation(operator)
    op = "AveragePool" if operator.kind == "AVERAGE_POOL_2D" else "MaxPool"
    if op == "AveragePool":  # its kernels average the stored numbers: ties go away from their 0
        attrs["origin"] = -128 if importer.tensors[operator.inputs[0]].dtype == "uint8" else 0
    importer.emit(operator, op, [importer.read(operator.inputs[0], True, operator.subject)], attrs, True)


_BINARY = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "MAXIMUM": "Max", "MINIMUM": "Min", "PRELU": "PRelu"}


@converts(*_BINARY)
def _binary(importer: Importer, operator: Operator) -> None:
    """Constants of fewer axes than a map stand for its last ones."""
    fits = [is_map(importer, i) or importer.tensors[i].data is not None for i in operator.inputs]
    nchw = is_map(importer, operator.outputs[0]) and all(fits)
    names = [importer.read(i, nchw, operator.subject) if is_map(importer, i) or not nchw else _as_map(importer, i)
             for i in operator.inputs]
    importer.emit(operator, _BINARY[operator.kind], names, activation(operator), nchw)


def _as_map(importer: Importer, index: int) -> str:
    """The name of a constant of up to 3 axes as [N, C, H, W]."""
    tensor, type_ = importer.tensors[index], importer.raw_type(index)
    value = tensor.data if tensor.dtype != "uint8" else (tensor.data ^ np.uint8(128)).view(np.int8)
    missing = 4 - value.ndim
    axis = None if type_.axis is None else (0, 2, 3, 1)[type_.axis + missing]
    value = value.reshape((1,) * missing + value.shape).transpose(0, 3, 1, 2)
    return importer.graph.add_constant(f"{importer.names[index]}.nchw", value, type_.scale, type_.zero_point, axis)


_UNARY = {"RELU": ("Clip", {"min": 0.0}), "RELU6": ("Clip", {"min": 0.0, "max": 6.0}),
          "RELU_N1_TO_1": ("Clip", {"min": -1.0, "max": 1.0}), "RELU_0_TO_1": ("Clip", {"min": 0.0, "max": 1.0}),
          "LOGISTIC": ("Sigmoid", {}), "TANH": ("Tanh", {}),
          "HARD_SWISH": ("HardSwish", {}), "ELU": ("Elu", {}), "ABS": ("Abs", {}), "NEG": ("Neg", {}), "EXP": ("Exp", {}),
          "SQRT": ("Sqrt", {}), "LOG": ("Log", {}), "FLOOR": ("Floor", {}), "SIN": ("Sin", {}), "COS": ("Cos", {})}


@converts(*_UNARY)
def _unary(importer: Importer, operator: Operator) -> None:
    op, attrs = _UNARY[operator.kind]
    nchw = is_map(importer, operator.inputs[0])
    importer.emit(operator, op, [importer.read(operator.inputs[0], nchw, operator.subject)], dict(attrs), nchw)


@converts("LEAKY_RELU", "GELU")
def _activation_with_options(importer: Importer, operator: Operator) -> None:
    options, nchw = operator.options, is_map(importer, operator.inputs[0])
    op, attrs = ("LeakyRelu", {"alpha": options["Alpha"]}) if operator.kind == "LEAKY_RELU" else \
        ("Gelu", {"approximate": "tanh" if options["Approximate"] else "none"})
    importer.emit(operator, op, [importer.read(operator.inputs[0], nchw, operator.subject)], attrs, nchw)


@converts("MEAN", "REDUCE_MAX")
def _reduce(importer: Importer, operator: Operator) -> None:
    keep = bool(operator.options["KeepDims"])
    rank = len(importer.tensors[operator.inputs[0]].shape)
    axes = sorted(int(a) % rank for a in constant(importer, operator, 1).reshape(-1))
    nchw = rank == 4 and axes == [1, 2]
    name = importer.read(operator.inputs[0], nchw, operator.subject)
    attrs = {"axes": (2, 3) if nchw else tuple(axes), "keepdims": int(keep)}
    importer.emit(operator, "ReduceMean" if operator.kind == "MEAN" else "ReduceMax", [name], attrs, nchw and keep)


@converts("QUANTIZE", "DEQUANTIZE")
def _quantize(importer: Importer, operator: Operator) -> None:
    nchw = is_map(importer, operator.inputs[0])
    source, target = (importer.type_of(i, nchw) for i in (operator.inputs[0], operator.outputs[0]))
    name = importer.read(operator.inputs[0], nchw, operator.subject)
    for type_ in (source, target):
        require(operator, type_.axis is None, "a tensor that is computed must have one scale", "one a channel",
                 "to quantise activations by tensor")
    if source.quantised and target.quantised:
        importer.emit(operator, "Identity", [name], {}, nchw)
    elif target.quantised:
        attrs = {"scale": target.scale, "zero_point": target.zero_point, "dtype": target.dtype,
                 "rounding": importer.graph.rounding}
        importer.emit(operator, "quantize", [name], attrs, nchw)
    else:
        require(operator, source.quantised, "its input must have a scale", "none", "to quantise the model again")
        importer.emit(operator, "dequantize", [name], {"scale": source.scale, "zero_point": source.zero_point}, nchw)


@converts("SOFTMAX")
def _softmax(importer: Importer, operator: Operator) -> None:
    beta = operator.options["Beta"]
    require(operator, beta == 1, "beta must be 1", beta, "to scale its input in the model")
    importer.emit(operator, "Softmax", [importer.read(operator.inputs[0], False, operator.subject)], {"axis": -1}, False)
