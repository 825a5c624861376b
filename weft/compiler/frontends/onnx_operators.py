"""Which ONNX operators can be imported, with which attributes, and what those must be."""

from collections.abc import Callable

import onnx

from weft.runtime.kernels.onnx_node import evaluator

UNKNOWN = "an operator must be one that weft can import"
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
ONE_OUTPUT = ("MaxPool", "LayerNormalization", "BatchNormalization", "Dropout")  # whose others only training reads
QUANTISERS = {"QuantizeLinear": "quantize", "DequantizeLinear": "dequantize"}

_CONV = "auto_pad dilations group kernel_shape pads strides"
_POOL = "auto_pad ceil_mode dilations kernel_shape pads strides"
ATTRIBUTES: dict[str, str] = {
    "Conv": _CONV, "ConvTranspose": f"{_CONV} output_padding output_shape",
    "MaxPool": f"{_POOL} storage_order", "AveragePool": f"{_POOL} count_include_pad",
    "GlobalAveragePool": "", "ReduceMean": "axes keepdims noop_with_empty_axes",
    "Gemm": "alpha beta transA transB", "MatMul": "",
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "Sqrt", "Exp", "Log", "Tanh", "Erf", "Min", "Max",
                     "Relu", "Sigmoid", "HardSwish", "Softplus", "Softsign", "Mish", "Floor", "Ceil", "Round", "Sin", "Cos",
                     "Reciprocal", "PRelu", "GlobalMaxPool", "Clip", "Identity", "Sum"), ""),
    "Dropout": "seed",
    **dict.fromkeys(("LeakyRelu", "Elu", "Celu", "ThresholdedRelu"), "alpha"), "Selu": "alpha gamma", "Gelu": "approximate",
    "ReduceMax": "axes keepdims noop_with_empty_axes", "HardSigmoid": "alpha beta", "Softmax": "axis",
    "BatchNormalization": "epsilon momentum training_mode", "LayerNormalization": "axis epsilon stash_type",
    "Resize": "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "
              "keep_aspect_ratio_policy mode nearest_mode",
    "DepthToSpace": "blocksize mode", "SpaceToDepth": "blocksize",
    "Transpose": "perm", "Reshape": "allowzero", "Flatten": "axis", "Squeeze": "", "Unsqueeze": "", "Concat": "axis",
    "Split": "axis num_outputs", "Slice": "", "Pad": "mode", "Gather": "axis", "Expand": "", "Cast": "to saturate",
    "Shape": "start end",
    "ConstantOfShape": "value", "Constant": "value value_float value_floats value_int value_ints",
    "QuantizeLinear": "axis block_size saturate output_dtype", "DequantizeLinear": "axis block_size output_dtype",
}

Check = tuple[str, Callable[[object], bool], str]
REQUIRED: dict[tuple[str, str], Check] = {
    ("MaxPool", "storage_order"): ("storage_order must be 0", lambda v: v == 0, "storage_order = 0"),
    ("AveragePool", "dilations"): ("dilations must be 1", lambda v: set(v) == {1}, "a convolution"),
    ("Pad", "mode"): ("mode must be constant", lambda v: v == "constant", "constant padding"),
    ("BatchNormalization", "training_mode"): ("training_mode must be 0", lambda v: v == 0, "to export for inference"),
    ("QuantizeLinear", "block_size"): ("block_size must be 0", lambda v: v == 0, "quantisation by tensor or by channel"),
    ("DequantizeLinear", "block_size"): ("block_size must be 0", lambda v: v == 0, "quantisation by tensor or by channel"),
    ("ReduceMax", "noop_with_empty_axes"): ("noop_with_empty_axes must be 0", lambda v: v == 0, "to name the axes"),
    ("ReduceMean", "noop_with_empty_axes"): ("noop_with_empty_axes must be 0", lambda v: v == 0, "to name the axes"),
}
COORDINATES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
for _key, _rule, _holds in (("mode", "mode must be nearest or linear", lambda v: v in ("nearest", "linear")),
                            ("antialias", "antialias must be 0", lambda v: v == 0),
                            ("axes", "axes must not be given", lambda v: False),
                            ("coordinate_transformation_mode", f"coordinates must be one of {', '.join(COORDINATES)}",
                             lambda v: v in COORDINATES),
                            ("exclude_outside", "exclude_outside must be 0", lambda v: v == 0),
                            ("keep_aspect_ratio_policy", "keep_aspect_ratio_policy must be stretch",
                             lambda v: v == "stretch")):
    REQUIRED["Resize", _key] = (_rule, _holds, "resizing by nearest or linear with plain sizes")
for _op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
    REQUIRED[_op, "kernel_shape"] = ("there must be two spatial axes", lambda v: len(v) == 2, "a two-dimensional operator")


def cannot_import(node: onnx.NodeProto, attrs: dict) -> tuple[str, str, str]:
    """(rule, what was found, hint) of an operator, a domain or an attribute that weft has no kernel for; ("", "", "") if it
    has."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in ATTRIBUTES:
        operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        return UNKNOWN, operator, f"to replace it by any of {', '.join(sorted(ATTRIBUTES))}"
    known = ATTRIBUTES[node.op_type].split()
    for key, value in attrs.items():
        if key not in known:
            return f"an attribute must be one of {', '.join(known) or 'none'}", f"'{key}'", "to export the model without it"
        rule, holds, hint = REQUIRED.get((node.op_type, key), ("", lambda _: True, ""))
        if not holds(value):
            return rule, str(value), hint
    outputs = sum(map(bool, node.output))
    if node.op_type in ONE_OUTPUT and outputs > 1:
        return "it must have one output", str(outputs), "to remove the others"
    return "", "", ""


def drop_unread_outputs(model: onnx.ModelProto) -> None:
    """Takes away masks, indices and statistics that nobody reads, of operators that may do without them."""
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for node in model.graph.node:
        if node.domain in ("", "ai.onnx") and node.op_type in ONE_OUTPUT:
            while len(node.output) > 1 and node.output[-1] not in read:
                node.output.pop()


def reference_node(node: onnx.NodeProto, opset: int) -> dict | None:
    """Attributes of the `Onnx` node that computes this one by ONNX's reference evaluator; None where that cannot.

    The evaluator knows nothing of how tensors are quantised here, nor are random numbers anything to compile.
    """
    if node.op_type in QUANTISERS or node.op_type in RANDOM:
        return None
    attrs = {"operator": node.op_type, "node": node.SerializeToString().hex(), "opset": opset}
    try:
        evaluator(attrs["node"], opset)
    except Exception:  # it raises its own errors, and what its parts raise
        return None
    return attrs
