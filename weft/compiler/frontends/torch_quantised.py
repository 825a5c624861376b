"""The operators of `quantized_decomposed`, with which PyTorch's quantisers for export mark stored numbers.

    quantize_per_tensor, quantize_per_channel      -> quantize
    dequantize_per_tensor, dequantize_per_channel  -> dequantize, and the scale of what it reads
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graph import TensorType, check_type

if TYPE_CHECKING:
    from .torch_export import Call


def quantiser(call: Call) -> str:
    """quantize_per_tensor and its like; the kinds whose scale is computed are refused."""
    kind, _, form = call.target.removeprefix("quantized_decomposed.").rpartition(".")[0].partition("_per_")
    call.require(
        kind in ("quantize", "dequantize") and form in ("tensor", "channel"),
        "an operator must be one that weft can import",
        call.target,
        "quantisation by tensor or by channel with constant scales",
    )
    scale, zero_point, axis = _parameters(call, form)
    return _quantize(call, scale, zero_point, axis) if kind == "quantize" else _dequantize(call, scale, zero_point, axis)


def _parameters(call: Call, form: str):
    """(scale, zero point, axis) as the program has them; tuples by channel."""
    if form == "channel":
        names = [call["scales"], call["zero_points"]]
        call.require(
            all(call.importer.is_constant(n) for n in names),
            "scale and zero point must be constants",
            "computed ones",
            "static quantisation",
        )
        scale, zero_point = (call.importer.constant(n).reshape(-1).tolist() for n in names)
        return tuple(map(float, scale)), tuple(map(int, zero_point)), call["axis"]
    values = [call["scale"], call["zero_point"]]
    if any(hasattr(v, "meta") for v in values):
        call.require(all(not hasattr(v, "meta") or call.importer.is_constant(v) for v in values),
                     "scale and zero point must be constants", "computed ones", "static quantisation")
        values = [call.importer.constant(v).item() if hasattr(v, "meta") else v for v in values]
    return float(np.float32(values[0])), int(values[1]), None


def _stored_type(call: Call, shape, dtype: str, scale, zero_point, axis) -> TensorType:
    """With int8 for uint8."""
    lowered = 128 if dtype == "uint8" else 0
    zeros = zero_point - lowered if axis is None else tuple(z - lowered for z in zero_point)
    type_ = TensorType(shape, "int8" if dtype == "uint8" else dtype, scale, zeros, axis)
    check_type(call.subject, type_)
    return type_


def _quantize(call: Call, scale, zero_point, axis) -> str:
    dtype = call.importer.dtype(call.subject, call["dtype"])
    info = np.iinfo(dtype)
    call.require((call["quant_min"], call["quant_max"]) == (info.min, info.max), f"its range must be that of {dtype}",
                 (call["quant_min"], call["quant_max"]), "to quantise to all of int8 or uint8")
    source = call.tensor("input")
    type_ = _stored_type(call, call.shape_of(source), dtype, scale, zero_point, axis)
    attrs = {"scale": scale, "zero_point": type_.zero_point, "dtype": type_.dtype, "rounding": call.importer.graph.rounding}
    return call.importer.emit(call.node.name, "quantize", [source], attrs | ({} if axis is None else {"axis": axis}), type_)


def _dequantize(call: Call, scale, zero_point, axis) -> str:
    importer, arg = call.importer, call["input"]
    dtype = importer.dtype(call.subject, call["dtype"])
    if importer.is_constant(arg):
        value = importer.constant(arg)
        type_ = _stored_type(call, value.shape, dtype, scale, zero_point, axis)
        value = (value ^ np.uint8(128)).view(np.int8) if value.dtype == np.uint8 else value
        name = importer.graph.add_constant(arg.name, value, scale, type_.zero_point, axis)
    else:
        name = call.tensor("input")
        type_ = _stored_type(call, call.shape_of(name), dtype, scale, zero_point, axis)
        found = importer.graph.tensors[name]
        call.require(
            not found.quantised or found.quantisation == type_.quantisation,
            "a tensor must be quantised in one way",
            f"'{name}' in two",
            "the same scale and zero point in every operator that quantises it",
        )
        importer.graph.tensors[name] = type_
    attrs = {"scale": scale, "zero_point": type_.zero_point} | ({} if axis is None else {"axis": axis})
    return importer.emit(call.node.name, "dequantize", [name], attrs, TensorType(type_.shape, "float32"))
