"""The quantised graph as standard ONNX: QuantizeLinear and DequantizeLinear around every operator that computes in int8.

    x -> Quantize -> Dequantize -> Conv(w, b dequantised constants) -> [Relu] -> Quantize -> Dequantize -> y

A Relu or Clip that the range of the output says already is left out: quantising clips there.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..graph import Graph, Node
from .plan import Plan
from .ranges import Quantisation
from .weights import Weights

OPSET, IR_VERSION = 17, 8
_MOVED_TO_INPUTS = {"Reshape": ("shape",), "Slice": ("starts", "ends", "axes", "steps"), "Pad": ("pads", "value"),
                    "Clip": ("min", "max"), "Resize": ("roi", "scales", "sizes")}
_REALS = ("value", "min", "max", "scales")  # of these inputs; all others are int64
_NOT_IN_ONNX = ("minimum", "maximum", "origin")  # clamps get nodes of their own; an origin matters to stored values only
_LATER = {"Gelu": 20, "Mish": 18}  # operators that OPSET does not have
_SINCE_18 = {"Resize": ("antialias", "keep_aspect_ratio_policy")}  # imported at their defaults only


def to_onnx(graph: Graph, plan: Plan | None = None, quantisations: Mapping[str, Quantisation] | None = None,
            weights: Mapping[str, Weights] | None = None) -> onnx.ModelProto:
    """The model, checked by ONNX. Without a plan: the float graph as it is."""
    writer = _Writer(graph, plan or Plan(), quantisations or {}, weights or {})
    proto = helper.make_graph(writer.nodes, graph.name, [_value(graph, name) for name in graph.inputs],
                              [_value(graph, name) for name in graph.outputs], list(writer.constants.values()))
    opsets = [helper.make_opsetid(domain, version) for domain, version in _opsets(graph).items()]
    model = helper.make_model(proto, opset_imports=opsets, producer_name="weft")
    model.ir_version = max(IR_VERSION, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
    onnx.checker.check_model(model, full_check=True)
    return model


def _opsets(graph: Graph) -> dict[str, int]:
    """OPSET, or a later one where an operator is of that."""
    opsets = {"": max([OPSET, *(_LATER.get(node.op, OPSET) for node in graph.nodes)])}
    for node in graph.nodes:
        if node.op == "Onnx":
            domain = _passed_on(node).domain
            domain = "" if domain == "ai.onnx" else domain
            opsets[domain] = max(opsets.get(domain, 1), node.attrs["opset"])
    return opsets


def _passed_on(node: Node) -> onnx.NodeProto:
    """The operator as it was imported."""
    proto = onnx.NodeProto()
    proto.ParseFromString(bytes.fromhex(node.attrs["node"]))
    return proto


def _value(graph: Graph, name: str) -> onnx.ValueInfoProto:
    type_ = graph.tensors[name]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(type_.numpy), type_.shape)


class _Writer:
    """`nodes` and `constants` of the ONNX graph, filled node by node."""

    def __init__(self, graph: Graph, plan: Plan, quantisations: Mapping[str, Quantisation], weights: Mapping[str, Weights]):
        self.graph, self.plan, self.quantisations, self.weights = graph, plan, quantisations, weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.real: dict[str, str] = {}  # tensor -> the name of its dequantised form, where it has one
        self.taken = set(graph.tensors)
        self.opset = _opsets(graph)[""]
        for name in graph.inputs:
            self._also_quantised(name)
        for node in graph.nodes:
            self._node(node)

    def _fresh(self, stem: str) -> str:
        name, count = stem, 1
        while name in self.taken:
            name, count = f"{stem}.{count}", count + 1
        self.taken.add(name)
        return name

    def _constant(self, stem: str, value: np.ndarray) -> str:
        """A constant that the graph does not have."""
        name = self._fresh(stem)
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def _node(self, node: Node) -> None:
        if node.op == "Onnx":
            self._pass_on(node)
            return
        output, whole = node.outputs[0], self.plan.computes(node)
        inputs = [self._input(node, i) for i in range(len(node.inputs))]
        made = self._fresh(f"{output}.float") if whole else output
        clip = self._clip(node, whole)
        first = self._fresh(f"{output}.sum") if clip else made
        self._emit(node, inputs, first)
        if clip:
            self._emit(clip, [first], made)
        if whole:
            self._quantise(made, output, output)
        else:
            self._also_quantised(output)

    def _pass_on(self, node: Node) -> None:
        proto, outputs = _passed_on(node), iter(node.outputs)
        names = [self._input(node, i) for i in range(len(node.inputs))]
        made = [next(outputs) if name else "" for name in proto.output]
        del proto.input[:], proto.output[:]
        proto.input.extend(names)
        proto.output.extend(made)
        proto.name = node.name
        self.nodes.append(proto)
        for name in node.outputs:
            self._also_quantised(name)

    def _input(self, node: Node, index: int) -> str:
        name = node.inputs[index]
        if not name:
            return ""
        if name in self.graph.constants:
            made = self.weights.get(node.outputs[0]) if index in (1, 2) else None
            if made is None:
                self.constants[name] = numpy_helper.from_array(self.graph.constants[name], name)
                return name
            stored, scale = (made.stored, made.scale) if index == 1 else (made.bias, made.bias_scale)
            return self._by_channel(name, stored, scale, made.axis if index == 1 else 0)
        return self.real.get(name, name) if self.plan.computes(node) else name

    def _by_channel(self, name: str, stored: np.ndarray, scale: np.ndarray, axis: int) -> str:
        names = [self._constant(f"{name}.stored", stored), self._constant(f"{name}.scale", scale),
                 self._constant(f"{name}.zero", np.zeros(len(scale), stored.dtype))]
        real = self._fresh(f"{name}.real")
        self.nodes.append(helper.make_node("DequantizeLinear", names, [real], f"{name}.dequantize", axis=axis))
        return real

    def _also_quantised(self, name: str) -> None:
        """A tensor of real numbers that some nodes read in int8 gets a second form for those."""
        if name in self.quantisations:
            self.real[name] = self._fresh(f"{name}.real")
            self._quantise(name, name, self.real[name])

    def _quantise(self, source: str, name: str, target: str) -> None:
        q = self.quantisations[name]
        names = [self._constant(f"{name}.scale", np.float32(q.scale)), self._constant(f"{name}.zero", np.int8(q.zero_point))]
        stored = self._fresh(f"{name}.int8")
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *names], [stored], f"{name}.quantize"))
        self.nodes.append(helper.make_node("DequantizeLinear", [stored, *names], [target], f"{name}.dequantize"))

    def _clip(self, node: Node, whole: bool) -> Node | None:
        """The Relu or Clip that was fused into the node, unless the range of its int8 output says the same."""
        limits = {new: node.attrs[old] for old, new in (("minimum", "min"), ("maximum", "max")) if old in node.attrs}
        q = self.quantisations.get(node.outputs[0])
        if not limits or whole and clips_alike(q, limits.get("min", -np.inf), limits.get("max", np.inf)):
            return None
        op = "Relu" if limits == {"min": 0.0} else "Clip"
        return Node(f"{node.name}.{op.lower()}", op, [], [], {} if op == "Relu" else limits)

    def _emit(self, node: Node, inputs: list[str], output: str) -> None:
        attrs = {k: v for k, v in node.attrs.items() if k not in (*_NOT_IN_ONNX, *_SINCE_18.get(node.op, ()))}
        inputs = list(inputs)
        for key in _MOVED_TO_INPUTS.get(node.op, ()):
            value = attrs.pop(key, None)
            if value is None:
                inputs.append("")
            else:
                dtype = np.float32 if key in _REALS else np.int64
                inputs.append(self._constant(f"{node.name}.{key}", np.array(value, dtype)))
        while not inputs[-1]:
            inputs.pop()
        if node.op in ("ReduceMean", "ReduceMax") and "axes" in attrs and self.opset >= 18:
            inputs.append(self._constant(f"{node.name}.axes", np.array(attrs.pop("axes"), np.int64)))
        if node.op == "Cast":
            attrs["to"] = helper.np_dtype_to_tensor_dtype(np.dtype(attrs["to"]))
        attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in attrs.items()}
        self.nodes.append(helper.make_node(node.op, inputs, [output], node.name, **attrs))


def clips_alike(q: Quantisation, low: float, high: float) -> bool:
    """Whether quantising clips at low and high or inside of them, to within half a step."""
    return q.low > low - q.scale / 2 and q.high < high + q.scale / 2
