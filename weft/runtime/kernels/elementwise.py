"""One value out for each value in: `add` and `mul` on int8 with requantisation, and ONNX's functions on real numbers."""

import functools
import math

import numpy as np

from .quantise import apply_lanes
from .registry import kernel


@kernel("add")
def add(attrs, a, b, qnt, table=None):
    """a, b int8 [N, C, ...], either also [N, C, 1, 1], qnt [C], optional table [256] -> int8: requantised a * multipliers[0] +
    b * multipliers[1]."""
    ma, mb = attrs["multipliers"]
    return (apply_lanes(a.astype(np.int32) * np.int32(ma) + b.astype(np.int32) * np.int32(mb), qnt, table),)


@kernel("mul")
def mul(attrs, a, b, qnt, table=None):
    """a, b int8 [N, C, ...], b also [N, C, 1, 1], qnt [C], optional table [256] -> int8: requantised product of
    a - zero_points[0] and b - zero_points[1]."""
    za, zb = attrs["zero_points"]
    return (apply_lanes((a.astype(np.int32) - np.int32(za)) * (b.astype(np.int32) - np.int32(zb)), qnt, table),)


@kernel("max")
def larger(attrs, a, b):
    """a, b int8 of one shape -> the larger of each two values."""
    return (np.maximum(a, b),)


@kernel("min")
def smaller(attrs, a, b):
    """a, b int8 of one shape -> the smaller of each two values."""
    return (np.minimum(a, b),)


@kernel("Clip")
def clip(attrs, x, low=None, high=None):
    """ONNX Clip; limits as inputs, or as attributes min and max (opset 6)."""
    low = attrs.get("min", -np.inf) if low is None else low
    high = attrs.get("max", np.inf) if high is None else high
    return (np.clip(x, low, high).astype(x.dtype),)


@kernel("LeakyRelu")
def leaky_relu(attrs, x):
    return (np.where(x < 0, x * x.dtype.type(attrs.get("alpha", 0.01)), x),)


@kernel("HardSigmoid")
def hard_sigmoid(attrs, x):
    return (np.clip(x * attrs.get("alpha", 0.2) + attrs.get("beta", 0.5), 0, 1).astype(x.dtype),)


@kernel("Elu")
def elu(attrs, x):
    return (np.where(x < 0, attrs.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x).astype(x.dtype),)


@kernel("Celu")
def celu(attrs, x):
    alpha = attrs.get("alpha", 1.0)
    return (np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x).astype(x.dtype),)


@kernel("Selu")
def selu(attrs, x):
    alpha, gamma = attrs.get("alpha", 1.6732632423543772), attrs.get("gamma", 1.0507009873554805)
    return (np.where(x < 0, gamma * alpha * np.expm1(np.minimum(x, 0)), gamma * x).astype(x.dtype),)


@kernel("ThresholdedRelu")
def thresholded_relu(attrs, x):
    return (np.where(x > attrs.get("alpha", 1.0), x, 0).astype(x.dtype),)


@kernel("Gelu")
def gelu(attrs, x):
    """ONNX Gelu: attrs: approximate, "none" or "tanh"."""
    wide = x.astype(np.float64)
    if attrs.get("approximate", "none") == "tanh":
        inner = np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide ** 3))
    else:
        inner = _ERF(wide / math.sqrt(2))
    return ((0.5 * wide * (1 + inner)).astype(x.dtype),)


@kernel("PRelu")
def prelu(attrs, x, slope):
    """ONNX PRelu; the slope broadcasts."""
    return (np.where(x < 0, x * slope, x).astype(x.dtype),)


def _divide(a, b):
    return a // b if np.issubdtype(a.dtype, np.integer) else a / b


_ERF = np.vectorize(math.erf, otypes=[np.float64])
_FUNCTIONS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divide, "Pow": np.power,
    "Neg": np.negative, "Abs": np.abs, "Sqrt": np.sqrt, "Exp": np.exp, "Log": np.log, "Tanh": np.tanh, "Erf": _ERF,
    "Sum": lambda *arrays: functools.reduce(np.add, arrays),
    "Min": lambda *arrays: functools.reduce(np.minimum, arrays),
    "Max": lambda *arrays: functools.reduce(np.maximum, arrays),
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Softplus": lambda x: np.logaddexp(x, 0), "Softsign": lambda x: x / (1 + np.abs(x)),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint, "Sin": np.sin, "Cos": np.cos, "Reciprocal": np.reciprocal,
}


def _register(op: str, function) -> None:
    kernel(op)(lambda attrs, x, *more: (np.asarray(function(x, *more)).astype(x.dtype),))


for _op, _function in _FUNCTIONS.items():
    _register(_op, _function)
