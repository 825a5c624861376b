"""Functions of real numbers point by point: ONNX's, on float32."""

import functools
import math
from collections.abc import Callable

import numpy as np

from ...expr import Const, Expr, Select, call
from ...graph import Graph, Node
from .. import pointwise
from .registry import operator

Define = Callable[..., Expr]  # (attributes, values..) -> value


def number(value: float) -> Const:
    return Const(float(value), "float32")


def clip(x: Expr, low: "Expr | float", high: "Expr | float") -> Expr:
    return np.minimum(np.maximum(x, low), high)


def where(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    return Select(condition, then, otherwise)


def negative(x: Expr) -> Expr:
    return x * -1.0


def _gelu(attrs: dict, x: Expr) -> Expr:
    if attrs.get("approximate", "none") == "tanh":
        inner = call("tanh", (x * x * x * 0.044715 + x) * math.sqrt(2 / math.pi))
    else:
        inner = call("erf", x * math.sqrt(0.5))
    return x * 0.5 * (inner + 1.0)


def _selu(attrs: dict, x: Expr) -> Expr:
    alpha, gamma = attrs.get("alpha", 1.6732632423543772), attrs.get("gamma", 1.0507009873554805)
    return where(x.lt(0.0), call("expm1", x) * (gamma * alpha), x * gamma)


def _celu(attrs: dict, x: Expr) -> Expr:
    alpha = attrs.get("alpha", 1.0)
    return where(x.lt(0.0), call("expm1", x * (1 / alpha)) * alpha, x)


def _clip(attrs: dict, x: Expr, low: Expr | None = None, high: Expr | None = None) -> Expr:
    return clip(x, attrs.get("min", -math.inf) if low is None else low, attrs.get("max", math.inf) if high is None else high)


POWERS: dict[float, Callable[[Expr], Expr]] = {  # by the exponent
    -2.0: lambda x: number(1) / (x * x), -1.0: lambda x: number(1) / x, -0.5: lambda x: call("rsqrt", x),
    0.5: lambda x: call("sqrt", x), 1.0: lambda x: x, 2.0: lambda x: x * x, 3.0: lambda x: x * x * x,
    4.0: lambda x: (x * x) * (x * x),
}
DEFINITIONS: dict[str, Define] = {
    "Abs": lambda attrs, x: call("abs", x),
    "Add": lambda attrs, a, b: a + b,
    "Ceil": lambda attrs, x: call("ceil", x),
    "Celu": _celu,
    "Clip": _clip,
    "Div": lambda attrs, a, b: a / b,
    "Elu": lambda attrs, x: where(x.lt(0.0), call("expm1", x) * attrs.get("alpha", 1.0), x),
    "Erf": lambda attrs, x: call("erf", x),
    "Exp": lambda attrs, x: call("exp", x),
    "Floor": lambda attrs, x: call("floor", x),
    "Gelu": _gelu,
    "HardSigmoid": lambda attrs, x: clip(x * attrs.get("alpha", 0.2) + attrs.get("beta", 0.5), 0.0, 1.0),
    "HardSwish": lambda attrs, x: x * clip(x * (1 / 6) + 0.5, 0.0, 1.0),
    "LeakyRelu": lambda attrs, x: where(x.lt(0.0), x * attrs.get("alpha", 0.01), x),
    "Log": lambda attrs, x: call("log", x),
    "Max": lambda attrs, *x: functools.reduce(np.maximum, x),
    "Min": lambda attrs, *x: functools.reduce(np.minimum, x),
    "Mish": lambda attrs, x: x * call("tanh", call("softplus", x)),
    "Mul": lambda attrs, a, b: a * b,
    "Neg": lambda attrs, x: negative(x),
    "PRelu": lambda attrs, x, slope: where(x.lt(0.0), x * slope, x),
    "Pow": lambda attrs, x, exponent: POWERS[exponent.value](x),
    "Reciprocal": lambda attrs, x: number(1) / x,
    "Relu": lambda attrs, x: np.maximum(x, 0.0),
    "Round": lambda attrs, x: call("round", x),
    "Selu": _selu,
    "Sigmoid": lambda attrs, x: call("sigmoid", x),
    "Softplus": lambda attrs, x: call("softplus", x),
    "Softsign": lambda attrs, x: x / (call("abs", x) + 1.0),
    "Sqrt": lambda attrs, x: call("sqrt", x),
    "Sub": lambda attrs, a, b: a - b,
    "Sum": lambda attrs, *x: functools.reduce(lambda a, b: a + b, x),
    "Tanh": lambda attrs, x: call("tanh", x),
    "ThresholdedRelu": lambda attrs, x: where(number(attrs.get("alpha", 1.0)).lt(x), x, number(0)),
}


def value(op: str, attrs: dict, *values: Expr) -> Expr:
    """What an operator makes of values, the clamp that was fused into it last."""
    return pointwise.clamped(attrs, DEFINITIONS[op](attrs, *values))


def is_float32(node: Node, graph: Graph) -> str:
    """Why not, or ""."""
    others = {graph.tensors[name].dtype for name in (*node.inputs, *node.outputs) if name} - {"float32"}
    return f"the CPU computes {node.op} in float32, not {', '.join(sorted(others))}" if others else ""


def supports(node: Node, graph: Graph) -> str:
    if node.op == "Pow":
        exponent = graph.constants.get(node.inputs[1])
        if exponent is None or exponent.size != 1 or float(exponent.reshape(-1)[0]) not in POWERS:
            return f"its exponent is none of {', '.join(map(str, POWERS))}"
    return is_float32(node, graph)


@operator(*DEFINITIONS, supports=supports)
def build(node, graph, views, form):
    """One pass over the output."""
    names = [name for name in node.inputs if name]
    present = [bool(name) for name in node.inputs]

    def define(*values: Expr) -> Expr:
        given = iter(values)
        return value(node.op, node.attrs, *(next(given) if there else None for there in present))

    return pointwise.build(node, graph, views, names, define)
