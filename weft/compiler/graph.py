"""The typed graph that a network is, from its import to the accelerator.

Two kinds of operators stand in it, told apart by their first letter:

- a capital: ONNX's operators, on real numbers (`Conv`, `Softmax`). On a tensor that has a scale they mean: dequantise,
  compute, quantise. Frontends make these.
- lower case: operators on the stored values (`conv2d`, `add`, `transpose`). Legalisation makes these; their meaning is
  `weft.runtime.kernels.KERNELS`. Of them, those in ACCELERATOR are what the accelerator can do.

Activations are [N, C, H, W] or [N, C] everywhere but at the network's edge.
"""

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from weft.isa import WeftError
from weft.isa.quantise import QNT_LANE
from weft.runtime.kernels import KERNELS

ACCELERATOR = ("conv2d", "conv2d_add", "depthwise_conv2d", "dense", "add", "max_pool", "avg_pool", "requantise", "lut",
               "mul", "max", "min", "pieces",
               "concat", "slice")
DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "bool", "qnt")


@dataclass(frozen=True)
class TensorType:
    """What is known of a tensor before it has values.

    Parameters
    ----------
    shape: the sizes of its axes; () for a scalar.
    dtype: a name of DTYPES; "qnt" for the lanes of weft.isa.quantise.
    scale, zero_point: real = scale * (stored - zero_point); None where the values are not quantised. Weights have a tuple
        of scales (and of zero points), one for each index of `axis`.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float | tuple[float, ...] | None = None
    zero_point: int | tuple[int, ...] | None = None
    axis: int | None = None

    @property
    def quantised(self) -> bool:
        return self.scale is not None

    @property
    def quantisation(self) -> tuple:
        """What two tensors must share for their stored values to mean the same."""
        return self.dtype, self.scale, self.zero_point, self.axis

    @property
    def numpy(self) -> np.dtype:
        return QNT_LANE if self.dtype == "qnt" else np.dtype(self.dtype)

    def __str__(self) -> str:
        text = f"{self.dtype}[{', '.join(map(str, self.shape))}]"
        if isinstance(self.scale, tuple):
            return f"{text} scale {min(self.scale):.4g} to {max(self.scale):.4g} along axis {self.axis}"
        return text if self.scale is None else f"{text} scale {self.scale:.6g} zero {self.zero_point}"


@dataclass
class Node:
    """One operator. An input named "" is an optional one that is absent. Attributes are numbers, text and tuples of them.

    where: "accel", "host", or "view" for a `view` that costs nothing by itself: packing or unpacking does it on the way, or
    both of its tensors are the same bytes.
    """

    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict = field(default_factory=dict)
    where: str = "host"
    reason: str = ""  # why it is not on the accelerator

    @property
    def subject(self) -> str:
        """How messages call it."""
        return f"node '{self.name}' ({self.op})"


@dataclass
class Graph:
    """Nodes in topological order, the types of all their tensors and the values of the constant ones.

    `rounding` is what a tie does in the network's home ("half_even" for ONNX, "half_away" for TFLite).
    """

    name: str
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    rounding: str = "half_even"

    def copy(self) -> "Graph":
        """A graph that passes may change; constants are shared."""
        nodes = [Node(n.name, n.op, list(n.inputs), list(n.outputs), copy.deepcopy(n.attrs), n.where, n.reason)
                 for n in self.nodes]
        return Graph(self.name, nodes, dict(self.tensors), dict(self.constants), list(self.inputs), list(self.outputs),
                     self.rounding)

    def producers(self) -> dict[str, Node]:
        """The node that makes each tensor."""
        return {name: node for node in self.nodes for name in node.outputs}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor, [] for none; a node that reads it twice stands there twice."""
        readers: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in node.inputs:
                if name:
                    readers.setdefault(name, []).append(node)
        return readers

    def fresh(self, stem: str) -> str:
        """A tensor name that is not taken."""
        if stem not in self.tensors:
            return stem
        return next(f"{stem}.{i}" for i in range(1, len(self.tensors) + 2) if f"{stem}.{i}" not in self.tensors)

    def add_tensor(self, stem: str, type_: TensorType) -> str:
        name = self.fresh(stem)
        self.tensors[name] = type_
        return name

    def add_constant(self, stem: str, value: np.ndarray, scale=None, zero_point=None, axis=None) -> str:
        """A new constant; returns its name. The type's shape and dtype are the array's."""
        value = np.ascontiguousarray(value).reshape(np.shape(value))
        dtype = "qnt" if value.dtype == QNT_LANE else value.dtype.name
        name = self.add_tensor(stem, TensorType(value.shape, dtype, scale, zero_point, axis))
        self.constants[name] = value
        return name

    def prune(self) -> None:
        """Drops nodes, constants and types that no output needs."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        made = {name for node in self.nodes for name in node.outputs}
        alive = needed | made | set(self.inputs)
        self.tensors = {k: v for k, v in self.tensors.items() if k in alive}
        self.constants = {k: v for k, v in self.constants.items() if k in needed}

    def macs(self, node: Node) -> int:
        """Multiply-accumulates of one run of the node: those of convolutions and matrix products, 0 for all others.

        What passes added with weights 0 does not count: they note the network's own number as `macs_per_output`.
        """
        if node.op == "pieces":
            return node.attrs.get("macs", 0)
        if node.op == "ConvTranspose":
            return math.prod(self.tensors[node.inputs[0]].shape) * math.prod(self.tensors[node.inputs[1]].shape[1:])
        if node.op in ("conv2d", "conv2d_add", "depthwise_conv2d", "Conv", "dense", "product"):
            each = node.attrs.get("macs_per_output", math.prod(self.tensors[node.inputs[1]].shape[1:]))
            return math.prod(self.tensors[node.outputs[0]].shape) * each
        if node.op in ("Gemm", "MatMul"):
            shape = self.tensors[node.inputs[0]].shape
            depth = shape[0] if node.attrs.get("transA") else shape[-1] if node.op == "MatMul" else math.prod(shape[1:])
            return math.prod(self.tensors[node.outputs[0]].shape) * depth
        return 0

    def validate(self) -> None:
        """Checks that every tensor has a type and a maker before its readers, and that every operator is known.

        Raises
        ------
        WeftError: naming the first node or tensor for which that is not so.
        """
        for name, type_ in self.tensors.items():
            check_type(f"tensor '{name}'", type_)
        ready = set(self.inputs) | set(self.constants) | {""}
        for node in self.nodes:
            if node.op not in KERNELS:
                raise WeftError(node.subject, "an operator must be one that weft knows", repr(node.op),
                                "to replace it in the model; weft.runtime.kernels.KERNELS lists the known ones")
            for name in (*node.inputs, *node.outputs):
                if name and name not in self.tensors:
                    raise WeftError(node.subject, "every tensor must have a shape and a dtype", f"none for '{name}'",
                                    "to export the model with static shapes")
            for name in node.inputs:
                if name not in ready:
                    raise WeftError(node.subject, "an input must be made by an earlier node", f"'{name}'",
                                    "to put the nodes in topological order")
            ready.update(node.outputs)
        for name in self.outputs:
            if name not in ready:
                raise WeftError(f"graph '{self.name}'", "every output must be made by a node", f"'{name}'",
                                "to check the model's outputs")

    def __str__(self) -> str:
        lines = [f"graph {self.name} ({self.rounding})"]
        lines += [f"  input    %{name}: {self.tensors[name]}" for name in self.inputs]
        lines += [f"  constant %{name}: {self.tensors[name]}" for name in self.constants]
        lines += [f"  {self._line(node)}" for node in self.nodes]
        lines += [f"  output   %{name}: {self.tensors[name]}" for name in self.outputs]
        return "\n".join(lines) + "\n"

    def _line(self, node: Node) -> str:
        outputs = ", ".join(f"%{name}: {self.tensors.get(name, '?')}" for name in node.outputs)
        inputs = ", ".join(f"%{name}" if name else "none" for name in node.inputs)
        attrs = "".join(f" {key}={_value(value)}" for key, value in node.attrs.items())
        reason = f"  # {node.reason}" if node.reason else ""
        return f"{outputs} = {node.op}({inputs}){attrs} @{node.where}{reason}"


def _value(value) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_value(v) for v in value)})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _each(value) -> Iterable:
    return value if isinstance(value, tuple) else (value,)


def check_type(subject: str, type_: TensorType) -> None:
    """Refuses a type that no array could have, or whose scale is zero, negative, infinite or NaN (WeftError)."""
    if type_.dtype not in DTYPES:
        raise WeftError(subject, f"a dtype must be one of {', '.join(DTYPES)}", repr(type_.dtype), "a cast in the model")
    if any(not isinstance(n, (int, np.integer)) or n < 1 for n in type_.shape) and type_.dtype != "int64":
        raise WeftError(subject, "every size of a shape must be a positive whole number", str(type_.shape),
                        "to export the model with static shapes")
    if type_.quantised:
        for scale in _each(type_.scale):
            if not math.isfinite(scale) or scale <= 0:
                raise WeftError(subject, "a scale must be finite and above zero", str(scale),
                                "to quantise the model again with data that reaches this tensor")
        info = np.iinfo(type_.numpy)
        for zero_point in _each(type_.zero_point):
            if not info.min <= zero_point <= info.max:
                raise WeftError(subject, f"a zero point must fit {type_.dtype}", str(zero_point),
                                "to quantise the model again")
