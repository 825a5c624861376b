"""Windows and moves of ATen: pools, resizing, reshapes, slices, and the like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .torch_operators import converts, reshape_to_output, reshaped

if TYPE_CHECKING:
    from .torch_export import Call


def _pair(value) -> tuple[int, int]:
    value = (value,) if isinstance(value, int) else tuple(value)
    return value * 2 if len(value) == 1 else value


@converts("max_pool2d", "max_pool2d_with_indices", "avg_pool2d")
def _pool(call: Call) -> str | tuple[str | None, ...]:
    source, kernel = call.tensor("self"), _pair(call["kernel_size"])
    attrs = {
        "kernel_shape": kernel,
        "strides": _pair(call["stride"]) if call["stride"] else kernel,
        "pads": _pair(call["padding"]) * 2,
        "ceil_mode": int(call["ceil_mode"]),
    }
    maps = _as_maps(call, source)
    if "avg" in call.target:
        call.require(
            call["divisor_override"] is None,
            "divisor_override must be absent",
            call["divisor_override"],
            "plain averages",
        )
        return _of_maps(call, "AveragePool", maps, attrs | {"count_include_pad": int(call["count_include_pad"])})
    made = _of_maps(call, "MaxPool", maps, attrs | {"dilations": _pair(call["dilation"])})
    return (made, None) if "indices" in call.target else made


def _as_maps(call: Call, name: str) -> str:
    """With a batch of 1 where there is none."""
    shape = call.shape_of(name)
    return name if len(shape) == 4 else reshaped(call, name, (1, *shape))


def _of_maps(call: Call, op: str, maps: str, attrs: dict) -> str:
    shape = call.type.shape
    if len(shape) == 4:
        return call.emit(op, [maps], attrs)
    return reshape_to_output(call, call.step(op, [maps], (1, *shape), attrs))


@converts("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive_pool(call: Call) -> str | tuple[str | None, ...]:
    source, size = call.tensor("self"), call.type.shape[-2:]
    whole = call.shape_of(source)[-2:]
    call.require(all(n % m == 0 for n, m in zip(whole, size, strict=True)), "its output must divide its input",
                 f"{list(whole)} to {list(size)}", "a pool with windows of one size")
    kernel = tuple(n // m for n, m in zip(whole, size, strict=True))
    op = "MaxPool" if "max" in call.target else "AveragePool"
    attrs = {"kernel_shape": kernel, "strides": kernel}
    if op == "AveragePool" and size == (1, 1):
        op, attrs = "GlobalAveragePool", {}
    made = _of_maps(call, op, _as_maps(call, source), attrs)
    return (made, None) if op == "MaxPool" else made


@converts("upsample_nearest2d", "upsample_bilinear2d")
def _upsample(call: Call) -> str:
    """ONNX's Resize. PyTorch's nearest takes floor(i / scale)."""
    source = call.tensor("input" if "input" in call.arguments else "self")
    before, after = call.shape_of(source), call.type.shape
    attrs = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if "bilinear" in call.target:
        attrs = {
            "mode": "linear",
            "coordinate_transformation_mode": "align_corners" if call["align_corners"] else "pytorch_half_pixel",
        }
    factors = [m / n for n, m in zip(before, after, strict=True)]
    return call.onnx("Resize", [source, "", call.new_constant(np.float32(factors), "scales")], attrs)


@converts("mean", "sum")
def _reduce(call: Call) -> str:
    source = call.tensor("self")
    shape = call.shape_of(source)
    axes = tuple(sorted(a % len(shape) for a in call.get("dim") or range(len(shape))))
    attrs = {"axes": axes, "keepdims": int(call.get("keepdim", False))}
    if "mean" in call.target:
        return call.emit("ReduceMean", [source], attrs)
    mean = call.step("ReduceMean", [source], call.type.shape, attrs)
    return call.emit("Mul", [mean, call.operand(math.prod(shape[a] for a in axes))])


@converts("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze")
def _reshape(call: Call) -> str:
    return reshape_to_output(call, call.tensor("self"))


@converts("alias", "clone", "contiguous", "detach", "detach_", "dropout", "lift_fresh_copy")
def _same(call: Call) -> str:
    call.require(not call.get("train", False), "it must be for inference", "training", "to export module.eval()")
    return call.operand(call.node.args[0])


@converts("_to_copy", "to")
def _cast(call: Call) -> str:
    return call.emit("Cast", [call.operand(call.node.args[0])], {"to": call.type.dtype})


@converts("permute", "transpose", "t")
def _transpose(call: Call) -> str:
    source = call.tensor("self")
    perm = list(range(len(call.shape_of(source))))
    if "permute" in call.target:
        perm = [d % len(perm) for d in call["dims"]]
    else:
        first, second = (call.get("dim0", 0), call.get("dim1", 1)) if len(perm) > 1 else (0, 0)
        perm[first], perm[second] = perm[second], perm[first]
    return call.emit("Transpose", [source], {"perm": tuple(perm)})


@converts("expand")
def _expand(call: Call) -> str:
    source = call.tensor("self")
    if call.shape_of(source) == call.type.shape:
        return source
    return call.emit("Expand", [source, call.new_constant(np.int64(call.type.shape), "shape")])


@converts("cat", "stack")
def _concat(call: Call) -> str:
    names = [call.operand(value) for value in call["tensors"]]
    axis = call["dim"] % len(call.type.shape)
    if "stack" in call.target:
        shape = list(call.type.shape)
        shape[axis] = 1
        names = [reshaped(call, name, tuple(shape)) for name in names]
    return call.emit("Concat", names, {"axis": axis})


@converts("constant_pad_nd", "pad")
def _pad(call: Call) -> str:
    call.require(
        call.get("mode", "constant") == "constant", "mode must be constant", call.get("mode"), "padding by a constant"
    )
    source, widths = call.tensor("self"), call["pad"]
    rank = len(call.type.shape)
    before, after = [0] * rank, [0] * rank
    for i in range(len(widths) // 2):  # from the last axis on
        before[rank - 1 - i], after[rank - 1 - i] = widths[2 * i], widths[2 * i + 1]
    return call.emit("Pad", [source], {"pads": (*before, *after), "value": float(call["value"] or 0)})


def _slice_attrs(axis: int, start: int, end: int, step: int = 1) -> dict:
    return {"starts": (start,), "ends": (end,), "axes": (axis,), "steps": (step,)}


@converts("slice")
def _slice(call: Call) -> str:
    source = call.tensor("self")
    size = call.shape_of(source)[call["dim"]]
    start, end = (min(value + size if value < 0 else value, size) for value in
                  (call["start"] or 0, size if call["end"] is None else call["end"]))
    return call.emit("Slice", [source], _slice_attrs(call["dim"] % len(call.type.shape), start, end, call["step"]))


@converts("select")
def _select(call: Call) -> str:
    source = call.tensor("self")
    shape, axis = list(call.shape_of(source)), call["dim"] % len(call.shape_of(source))
    index, shape[axis] = call["index"] % shape[axis], 1
    return reshape_to_output(call, call.step("Slice", [source], tuple(shape), _slice_attrs(axis, index, index + 1)))


@converts("split", "split_with_sizes", "chunk", "unbind")
def _split(call: Call) -> tuple[str | None, ...]:
    """A slice for each part; those that nobody reads are dropped later."""
    source, axis, types = call.tensor("self"), call["dim"], call.types
    shape, at, made = call.shape_of(source), 0, []
    axis %= len(shape)
    for type_ in types:
        size = 1 if "unbind" in call.target else type_.shape[axis]
        attrs, part = _slice_attrs(axis, at, at + size), (*shape[:axis], size, *shape[axis + 1:])
        if part == type_.shape:
            made.append(call.importer.emit(call.node.name, "Slice", [source], attrs, type_))
        else:
            whole = call.step("Slice", [source], part, attrs)
            made.append(call.importer.emit(call.node.name, "Reshape", [whole], {"shape": type_.shape}, type_))
        at += size
    return tuple(made)


@converts("embedding", "index_select")
def _gather(call: Call) -> str:
    if "embedding" in call.target:
        return call.emit("Gather", [call.tensor("weight"), call.tensor("indices")], {"axis": 0})
    return call.emit("Gather", [call.tensor("self"), call.tensor("index")], {"axis": call["dim"]})
