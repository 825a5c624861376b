"""What each ATen operator becomes: one function for each family, found by the operator's name without its overload.

Here: products, functions of one value and normalisations. In `torch_moves`: windows, and what moves values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from weft.isa import WeftError

from ..graph import TensorType

if TYPE_CHECKING:
    from .torch_export import Call

Convert = Callable[["Call"], "str | tuple[str | None, ...]"]
_CONVERT: dict[str, Convert] = {}
NOTHING = ("aten._assert_tensor_metadata.default", "aten._assert_async.msg", "aten._assert_scalar.default")
# decomposed, these would be many operators each
KEPT = frozenset(
    f"aten.{name}"
    for name in (
        "adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "avg_pool2d",
        "batch_norm",
        "gelu",
        "hardsigmoid",
        "hardswish",
        "layer_norm",
        "leaky_relu",
        "linear",
        "log_softmax",
        "matmul",
        "max_pool2d",
        "scaled_dot_product_attention",
        "silu",
        "softmax",
        "upsample_bilinear2d",
        "upsample_nearest2d",
    )
)


def convert(call: Call) -> str | tuple[str | None, ...]:
    """Adds the operator's nodes to the importer's graph; the name of its output, or of each output that is computed.

    Raises
    ------
    WeftError: for one that weft does not know.
    """
    name = call.target.rpartition(".")[0].removeprefix("aten.")
    if name not in _CONVERT:
        raise WeftError(call.subject, "an operator must be one that weft can import", call.target,
                        f"to replace it by any of {', '.join(sorted(_CONVERT))}")
    return _CONVERT[name](call)


def converts(*names: str) -> Callable[[Convert], Convert]:
    """Registers a function for operators of these names."""
    def register(function: Convert) -> Convert:
        _CONVERT.update(dict.fromkeys(names, function))
        return function
    return register


def reshaped(call: Call, name: str, shape: tuple[int, ...]) -> str:
    """The tensor in another shape; a constant is reshaped here."""
    constants = call.importer.graph.constants
    if name in constants:
        return call.new_constant(constants[name].reshape(shape), "reshaped")
    return call.step("Reshape", [name], shape, {"shape": tuple(shape)})


def _with_height(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:2], 1, *shape[2:])


@converts("convolution")
def _convolution(call: Call) -> str:
    source, weight, bias = call.tensor("input"), call.tensor("weight"), call["bias"]
    axes = len(call.shape_of(weight)) - 2
    call.require(axes in (1, 2), "there must be one or two spatial axes", axes, "a two-dimensional convolution")
    strides, pads, dilations, extra = (tuple(call[key]) * (axes if len(call[key]) == 1 else 1)
                                       for key in ("stride", "padding", "dilation", "output_padding"))
    if axes == 1:  # a map of height 1
        source, weight = (reshaped(call, name, _with_height(call.shape_of(name))) for name in (source, weight))
        strides, pads, dilations, extra = (1, *strides), (0, *pads), (1, *dilations), (0, *extra)
    attrs = {"kernel_shape": call.shape_of(weight)[2:], "strides": strides, "pads": pads * 2, "dilations": dilations,
             "group": call["groups"]}
    if call["transposed"]:
        attrs["output_padding"] = extra
    inputs = [source, weight, *([] if bias is None else [call.operand(bias)])]
    op = "ConvTranspose" if call["transposed"] else "Conv"
    if axes == 2:
        return call.emit(op, inputs, attrs)
    return reshape_to_output(call, call.step(op, inputs, _with_height(call.type.shape), attrs))


def reshape_to_output(call: Call, name: str) -> str:
    """The node that gives a tensor the output's shape."""
    return call.emit("Reshape", [name], {"shape": call.type.shape})


@converts("linear")
def _linear(call: Call) -> str:
    source, bias = call.tensor("input"), call["bias"]
    if len(call.shape_of(source)) == 2:
        inputs = [source, call.tensor("weight"), *([] if bias is None else [call.operand(bias)])]
        return call.emit("Gemm", inputs, {"transB": 1})
    weight = _transposed(call, call["weight"])
    if bias is None:
        return call.emit("MatMul", [source, weight])
    return call.emit("Add", [call.step("MatMul", [source, weight], call.type.shape), call.operand(bias)])


def _transposed(call: Call, arg) -> str:
    """A matrix with its axes swapped; of a constant, and of one that is dequantised, the constant itself is."""
    importer, name = call.importer, call.operand(arg)
    graph, shape = importer.graph, call.shape_of(name)[::-1]
    if name in graph.constants:
        return call.new_constant(np.ascontiguousarray(graph.constants[name].T), "transposed")
    maker = graph.producers().get(name)
    if maker is not None and maker.op == "dequantize" and maker.inputs[0] in graph.constants:
        type_, attrs = graph.tensors[maker.inputs[0]], dict(maker.attrs)
        axis = None if type_.axis is None else 1 - type_.axis
        if axis is not None:
            attrs["axis"] = axis
        stored = np.ascontiguousarray(graph.constants[maker.inputs[0]].T)
        held = graph.add_constant(f"{maker.inputs[0]}.transposed", stored, type_.scale, type_.zero_point, axis)
        return importer.emit(f"{name}.transposed", "dequantize", [held], attrs, TensorType(shape, "float32"))
    return call.step("Transpose", [name], shape, {"perm": (1, 0)})


@converts("addmm", "baddbmm")
def _add_product(call: Call) -> str:
    names = [key for key in call.arguments if key not in ("beta", "alpha")]
    call.require(call["beta"] == 1 and call["alpha"] == 1, "alpha and beta must be 1", (call["alpha"], call["beta"]),
                 "a product and a sum")
    bias, a, b = (call.operand(call[key]) for key in ("self", *names[1:]))
    if len(call.type.shape) == 2 and len(call.shape_of(bias)) == 1:
        return call.emit("Gemm", [a, b, bias])
    return call.emit("Add", [call.step("MatMul", [a, b], call.type.shape), bias])


@converts("mm", "bmm", "matmul")
def _matmul(call: Call) -> str:
    first, second = (call.operand(value) for value in call.node.args)
    return call.emit("MatMul", [first, second])


@converts("scaled_dot_product_attention")
def _attention(call: Call) -> str:
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    call.require(not call.get("enable_gqa"), "its queries must not be grouped", "enable_gqa", "to repeat keys and values")
    shape, other = call.shape_of(query), call.shape_of(key)
    scale = 1 / math.sqrt(shape[-1]) if call.get("scale") is None else call["scale"]
    axes = tuple(range(len(other)))
    scaled = call.step("Mul", [query, call.operand(scale)], shape)
    turned = call.step("Transpose", [key], (*other[:-2], other[-1], other[-2]), {"perm": (*axes[:-2], axes[-1], axes[-2])})
    weights = (*shape[:-1], other[-2])
    scores = call.step("MatMul", [scaled, turned], weights)
    mask = _mask(call, weights)
    if mask is not None:
        scores = call.step("Add", [scores, mask], weights)
    return call.emit("MatMul", [call.step("Softmax", [scores], weights, {"axis": -1}), value])


def _mask(call: Call, shape: tuple[int, ...]) -> str | None:
    """Numbers to add to the scores; minus infinity for what must not be looked at."""
    arg, allowed = call["attn_mask"], None
    if call["is_causal"]:
        allowed = np.tri(shape[-2], shape[-1], dtype=bool)
    elif arg is None:
        return None
    elif call.importer.is_constant(arg) and call.importer.constant(arg).dtype == np.bool_:
        allowed = call.importer.constant(arg)
    if allowed is not None:
        return call.new_constant(np.where(allowed, 0, -np.inf).astype(np.float32), "mask")
    name = call.tensor("attn_mask")
    dtype = call.importer.graph.tensors[name].dtype
    call.require(dtype == "float32", "a mask that is computed must be numbers to add", dtype, "0 and minus infinity")
    return name


_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min", "pow": "Pow"}


@converts(*_BINARY)
def _binary(call: Call) -> str:
    call.require(
        call.get("rounding_mode") is None, "rounding_mode must be absent", call.get("rounding_mode"), "plain division"
    )
    name = call.target.rpartition(".")[0].removeprefix("aten.")
    first, second = (call.operand(value) for value in call.node.args[:2])
    if call.get("alpha", 1) != 1:
        second = call.step("Mul", [second, call.operand(call["alpha"])], call.shape_of(second))
    return call.emit(_BINARY[name], [first, second])


_UNARY = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hardswish": "HardSwish",
    "erf": "Erf",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "neg": "Neg",
    "abs": "Abs",
}


@converts(*_UNARY)
def _unary(call: Call) -> str:
    return call.emit(_UNARY[call.target.rpartition(".")[0].removeprefix("aten.")], [call.tensor("self")])


@converts("rsqrt", "reciprocal")
def _inverse(call: Call) -> str:
    source = call.tensor("self")
    if "rsqrt" in call.target:
        source = call.step("Sqrt", [source], call.type.shape)
    return call.emit("Div", [call.operand(1.0), source])


@converts("hardsigmoid")
def _hard_sigmoid(call: Call) -> str:
    return call.emit("HardSigmoid", [call.tensor("self")], {"alpha": 1 / 6, "beta": 0.5})


@converts("leaky_relu")
def _leaky_relu(call: Call) -> str:
    return call.emit("LeakyRelu", [call.tensor("self")], {"alpha": float(call["negative_slope"])})


@converts("silu")
def _silu(call: Call) -> str:
    source = call.tensor("self")
    return call.emit("Mul", [source, call.step("Sigmoid", [source], call.type.shape)])


@converts("gelu")
def _gelu(call: Call) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)), or its approximation by tanh."""
    x, shape = call.tensor("self"), call.type.shape

    def step(op: str, *operands) -> str:
        return call.step(op, [value if isinstance(value, str) else call.operand(value) for value in operands], shape)
    if call["approximate"] == "tanh":
        cubed = step("Mul", step("Pow", x, 3.0), 0.044715)
        bent = step("Tanh", step("Mul", step("Add", x, cubed), math.sqrt(2 / math.pi)))
    else:
        bent = step("Erf", step("Div", x, math.sqrt(2)))
    return call.emit("Mul", [step("Mul", x, 0.5), step("Add", bent, 1.0)])


@converts("hardtanh", "clamp", "clamp_min", "clamp_max", "relu6")
def _clip(call: Call) -> str:
    limits = {"min": call.get("min_val", call.get("min")), "max": call.get("max_val", call.get("max"))}
    if "relu6" in call.target:
        limits = {"min": 0.0, "max": 6.0}
    call.require(
        not any(hasattr(v, "meta") for v in limits.values()), "its limits must be numbers", "a tensor", "clamp by numbers"
    )
    return call.emit("Clip", [call.tensor("self")], {k: float(v) for k, v in limits.items() if v is not None})


@converts("softmax", "_softmax", "log_softmax", "_log_softmax")
def _softmax(call: Call) -> str:
    source, attrs = call.tensor("self"), {"axis": call["dim"]}
    if "log" in call.target:
        return call.emit("Log", [call.step("Softmax", [source], call.type.shape, attrs)])
    return call.emit("Softmax", [source], attrs)


@converts("batch_norm", "_native_batch_norm_legit_no_training")
def _batch_norm(call: Call) -> str | tuple[str | None, ...]:
    call.require(not call.get("training", False), "it must be for inference", "training", "to export module.eval()")
    source = call.tensor("input")
    channels = call.shape_of(source)[1]
    scale = (
        call.operand(call["weight"])
        if call["weight"] is not None
        else call.new_constant(np.ones(channels, np.float32), "scale")
    )
    bias = (
        call.operand(call["bias"])
        if call["bias"] is not None
        else call.new_constant(np.zeros(channels, np.float32), "bias")
    )
    made = call.emit("BatchNormalization", [source, scale, bias, call.tensor("running_mean"), call.tensor("running_var")],
                     {"epsilon": call["eps"]})
    return (made, None, None) if "native" in call.target else made


@converts("layer_norm", "native_layer_norm")
def _layer_norm(call: Call) -> str | tuple[str | None, ...]:
    shape = tuple(call["normalized_shape"])
    scale = (
        call.operand(call["weight"])
        if call["weight"] is not None
        else call.new_constant(np.ones(shape, np.float32), "scale")
    )
    inputs = [call.tensor("input"), scale, *([] if call["bias"] is None else [call.operand(call["bias"])])]
    made = call.emit("LayerNormalization", inputs, {"axis": -len(shape), "epsilon": call["eps"]})
    return (made, None, None) if "native" in call.target else made
