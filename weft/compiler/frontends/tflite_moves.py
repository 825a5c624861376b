"""What TFLite's operators that move values become."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import tflite

from ..graph import Node
from .tflite_file import Operator
from .tflite_operators import activation, check_rank, constant, converts, is_map, require

if TYPE_CHECKING:
    from .tflite import Importer

_ORDER = (0, 3, 1, 2)  # of TFLite's axes in [N, C, H, W]
_AXES = (0, 2, 3, 1)  # where each of TFLite's axes is there


@converts("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def _reshape(importer: Importer, operator: Operator) -> None:
    shape = importer.tensors[operator.outputs[0]].shape
    importer.emit(operator, "Reshape", [importer.read(operator.inputs[0], False, operator.subject)], {"shape": shape}, False)


@converts("TRANSPOSE")
def _transpose(importer: Importer, operator: Operator) -> None:
    perm = tuple(int(p) for p in constant(importer, operator, 1))
    importer.emit(operator, "Transpose", [importer.read(operator.inputs[0], False, operator.subject)], {"perm": perm}, False)


def _ordered(nchw: bool, values) -> tuple[int, ...]:
    """One value for each axis, in the order of the form."""
    values = tuple(int(v) for v in values)
    return tuple(values[i] for i in _ORDER) if nchw else values


@converts("PAD", "PADV2")
def _pad(importer: Importer, operator: Operator) -> None:
    nchw, widths = is_map(importer, operator.inputs[0]), constant(importer, operator, 1)
    source, value = importer.type_of(operator.inputs[0], nchw), 0.0
    if operator.kind == "PADV2":
        fill = importer.read(operator.inputs[2], False, operator.subject)
        value = float(constant(importer, operator, 2).astype(np.float64).reshape(-1)[0])
        type_ = importer.graph.tensors[fill]
        if source.quantised:  # stored at the scale of the input
            lowered = 128 if importer.tensors[operator.inputs[2]].dtype == "uint8" else 0
            value = (value - lowered - (type_.zero_point or 0)) * (type_.scale or source.scale)
    pads = _ordered(nchw, widths[:, 0]) + _ordered(nchw, widths[:, 1])
    name = importer.read(operator.inputs[0], nchw, operator.subject)
    importer.emit(operator, "Pad", [name], {"pads": pads, "value": value}, nchw)


@converts("CONCATENATION")
def _concatenation(importer: Importer, operator: Operator) -> None:
    options = operator.options
    nchw, rank = is_map(importer, operator.inputs[0]), len(importer.tensors[operator.inputs[0]].shape)
    axis = options["Axis"] % rank
    attrs = {"axis": _AXES[axis] if nchw else axis} | activation(operator)
    importer.emit(operator, "Concat", [importer.read(i, nchw, operator.subject) for i in operator.inputs], attrs, nchw)


@converts("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def _resize(importer: Importer, operator: Operator) -> None:
    check_rank(importer, operator, 0, 4)
    corners, half = operator.options["AlignCorners"], operator.options["HalfPixelCenters"]
    attrs = {"mode": "linear" if operator.kind == "RESIZE_BILINEAR" else "nearest",
             "coordinate_transformation_mode": "align_corners" if corners else "half_pixel" if half else "asymmetric",
             "nearest_mode": "round_prefer_ceil" if corners or half else "floor",
             "sizes": importer.type_of(operator.outputs[0], True).shape}
    if importer.tensors[operator.inputs[0]].dtype == "int8":  # as for averages
        attrs["origin"] = 0
    importer.emit(operator, "Resize", [importer.read(operator.inputs[0], True, operator.subject)], attrs, True)


@converts("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def _blocks(importer: Importer, operator: Operator) -> None:
    check_rank(importer, operator, 0, 4)
    op = "DepthToSpace" if operator.kind == "DEPTH_TO_SPACE" else "SpaceToDepth"
    importer.emit(operator, op, [importer.read(operator.inputs[0], True, operator.subject)],
                  {"blocksize": operator.options["BlockSize"]}, True)


@converts("SLICE", "STRIDED_SLICE")
def _slice(importer: Importer, operator: Operator) -> None:
    shape = importer.tensors[operator.inputs[0]].shape
    starts, ends = constant(importer, operator, 1).astype(np.int64), constant(importer, operator, 2).astype(np.int64)
    steps = np.ones(len(shape), np.int64)
    if operator.kind == "SLICE":
        ends = np.where(ends < 0, shape, starts + ends)
    else:
        options = operator.options
        steps = constant(importer, operator, 3).astype(np.int64)
        masks = options["EllipsisMask"] | options["NewAxisMask"] | options["ShrinkAxisMask"]
        require(operator, not masks and len(starts) == len(shape), "ellipsis, new axis and shrink axis must not be used",
                 masks, "a RESHAPE after a plain slice")
        bits = np.arange(len(shape))
        starts = np.where(options["BeginMask"] >> bits & 1, np.where(steps > 0, 0, np.array(shape) - 1), starts)
        ends = np.where(options["EndMask"] >> bits & 1, np.where(steps > 0, shape, np.iinfo(np.int32).min), ends)
    nchw = len(shape) == 4
    attrs = {key: _ordered(nchw, v) for key, v in (("starts", starts), ("ends", ends), ("steps", steps))}
    attrs["axes"] = tuple(range(len(shape)))
    importer.emit(operator, "Slice", [importer.read(operator.inputs[0], nchw, operator.subject)], attrs, nchw)


@converts("SPLIT", "SPLIT_V")
def _split(importer: Importer, operator: Operator) -> None:
    """A slice for each part."""
    source, axis = (0, 2) if operator.kind == "SPLIT_V" else (1, 0)
    rank, nchw = len(importer.tensors[operator.inputs[source]].shape), is_map(importer, operator.inputs[source])
    axis = int(constant(importer, operator, axis).reshape(-1)[0]) % rank
    name, first = importer.read(operator.inputs[source], nchw, operator.subject), 0
    for part, output in enumerate(operator.outputs):
        last = first + importer.tensors[output].shape[axis]
        attrs = {"starts": (first,), "ends": (last,), "axes": (_AXES[axis] if nchw else axis,), "steps": (1,)}
        importer.emit(operator, "Slice", [name], attrs, nchw, part)
        first = last


@converts("PACK")
def _pack(importer: Importer, operator: Operator) -> None:
    """A concatenation along a new axis."""
    shape = importer.tensors[operator.outputs[0]].shape
    axis = operator.options["Axis"] % len(shape)
    each = (*shape[:axis], 1, *shape[axis + 1:])
    names = [_reshaped(importer, operator, importer.read(i, False, operator.subject), each) for i in operator.inputs]
    importer.emit(operator, "Concat", names, {"axis": axis}, False)


@converts("UNPACK")
def _unpack(importer: Importer, operator: Operator) -> None:
    """Slices of one along an axis, without it."""
    shape = importer.tensors[operator.inputs[0]].shape
    axis = operator.options["Axis"] % len(shape)
    name, graph = importer.read(operator.inputs[0], False, operator.subject), importer.graph
    for part, output in enumerate(operator.outputs):
        type_ = dataclasses.replace(graph.tensors[name], shape=(*shape[:axis], 1, *shape[axis + 1:]))
        made = graph.add_tensor(f"{operator.name}.part", type_)
        attrs = {"starts": (part,), "ends": (part + 1,), "axes": (axis,), "steps": (1,)}
        graph.nodes.append(Node(made, "Slice", [name], [made], attrs))
        importer.emit(operator, "Reshape", [made], {"shape": importer.tensors[output].shape}, False, part)


def _reshaped(importer: Importer, operator: Operator, name: str, shape: tuple[int, ...]) -> str:
    """The name of a tensor's values in another shape."""
    graph = importer.graph
    made = graph.add_tensor(f"{name}.reshaped", dataclasses.replace(graph.tensors[name], shape=shape))
    graph.nodes.append(Node(made, "Reshape", [name], [made], {"shape": shape}))
    return made


@converts("MIRROR_PAD")
def _mirror_pad(importer: Importer, operator: Operator) -> None:
    """Along each axis that grows, the values at mirrored places."""
    nchw, widths = is_map(importer, operator.inputs[0]), constant(importer, operator, 1)
    graph, name = importer.graph, importer.read(operator.inputs[0], nchw, operator.subject)
    mode = "symmetric" if operator.options["Mode"] == tflite.MirrorPadMode.SYMMETRIC else "reflect"
    before, after = (_ordered(nchw, widths[:, i]) for i in (0, 1))
    for axis, width in enumerate(zip(before, after, strict=True)):
        shape = graph.tensors[name].shape
        require(operator, max(width) < shape[axis] + (mode == "symmetric"), "no more may be added than there is to mirror",
                list(width), "to convert the model again")
        if any(width):
            places = graph.add_constant(f"{operator.name}.places", np.pad(np.arange(shape[axis]), width, mode))
            grown = (*shape[:axis], shape[axis] + sum(width), *shape[axis + 1:])
            made = graph.add_tensor(f"{operator.name}.mirrored", dataclasses.replace(graph.tensors[name], shape=grown))
            graph.nodes.append(Node(made, "Gather", [name, places], [made], {"axis": axis}))
            name = made
    importer.emit(operator, "Identity", [name], {}, nchw)
