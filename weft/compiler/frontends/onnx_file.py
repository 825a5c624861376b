"""ONNX files: their bytes become a valid model of a known opset, in which every tensor has a static shape."""

from collections.abc import Mapping

import onnx
from google.protobuf.message import DecodeError
from onnx import shape_inference, version_converter

from weft.isa import WeftError

from .onnx_lines import widen_lines
from .onnx_operators import drop_unread_outputs
from .onnx_shapes import fold_shapes

OLDEST = 13


def parse(data: bytes, name: str) -> onnx.ModelProto:
    """The model of a file's bytes, of opset OLDEST or later. WeftError where they are none, or cannot be converted."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:  # ValueError: text that is not UTF-8
        raise WeftError(f"model {name}", "the file must be a whole and valid ONNX model", _first_line(error),
                        "to export or download the model again") from None
    if opsets(model).get("", OLDEST) >= OLDEST:
        return model
    try:
        return version_converter.convert_version(model, OLDEST)
    except Exception as error:  # the converter raises bare RuntimeError, IndexError and its own errors
        raise WeftError(f"model {name}", f"the opset must be {OLDEST} or later, or convertible", _first_line(error),
                        f"to export the model with opset {OLDEST}") from None


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """The version of each domain; ONNX's own, which has two names, is ""."""
    return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def infer(model: onnx.ModelProto, name: str, input_shapes: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """The model with the shape and dtype of every tensor, and without what only computes shapes. WeftError where an input's
    shape is open, or another one does not follow from the inputs'."""
    drop_unread_outputs(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in input_shapes:
            dims = value.type.tensor_type.shape
            del dims.dim[:]
            for size in input_shapes[value.name]:
                dims.dim.add().dim_value = size
        elif value.name not in constants:
            _close_batch(value)
            _check_static(value)
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        while fold_shapes(inferred):  # shapes that are computed from shapes: each round uncovers the next
            inferred = shape_inference.infer_shapes(inferred, check_type=True, strict_mode=True, data_prop=True)
        if widen_lines(inferred):
            inferred = shape_inference.infer_shapes(inferred, check_type=True, strict_mode=True, data_prop=True)
        return inferred
    except (shape_inference.InferenceError, ValueError) as error:
        raise WeftError(f"model {name}", "the shapes of all tensors must follow from the inputs", _first_line(error),
                        "to run the ONNX checker on the model") from None


def _close_batch(value: onnx.ValueInfoProto) -> None:
    """A first axis of open size is the batch, and a compiled network takes one at a time."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) > 1 and not dims[0].HasField("dim_value"):
        dims[0].dim_value = 1


def _check_static(value: onnx.ValueInfoProto) -> None:
    sizes = [d.dim_value if d.HasField("dim_value") else (d.dim_param or "?") for d in value.type.tensor_type.shape.dim]
    if not value.type.tensor_type.HasField("shape") or any(not isinstance(n, int) or n < 1 for n in sizes):
        example = tuple(n if isinstance(n, int) and n > 0 else 1 for n in sizes)
        shape = "no shape" if not value.type.tensor_type.HasField("shape") else f"shape [{', '.join(map(str, sizes))}]"
        raise WeftError(f"input '{value.name}'", "its shape must be static", shape,
                        f"to give one, as in input_shapes={{'{value.name}': {example}}}")
