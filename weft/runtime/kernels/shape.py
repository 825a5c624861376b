"""Values that move and do not change. Lower case: on stored values, all choices in attributes. Capitals: ONNX's."""

import numpy as np

from .registry import kernel


@kernel("transpose")
def transpose(attrs, x):
    """attrs: perm."""
    return (np.ascontiguousarray(x.transpose(attrs["perm"])),)


@kernel("reshape")
def reshape(attrs, x):
    """attrs: shape, without -1 or 0."""
    return (x.reshape(attrs["shape"]),)


@kernel("slice")
def slice_(attrs, x):
    """attrs: starts, ends, steps, one for each axis; a negative step's end may be -1, one before the first index."""
    cut = [slice(start, None if step < 0 and end < 0 else end, step)
           for start, end, step in zip(attrs["starts"], attrs["ends"], attrs["steps"], strict=True)]
    return (np.ascontiguousarray(x[tuple(cut)]),)


@kernel("pad")
def pad(attrs, x):
    """attrs: before, after, one for each axis; value, as stored."""
    return (np.pad(x, tuple(zip(attrs["before"], attrs["after"], strict=True)), constant_values=attrs["value"]),)


@kernel("concat")
def concat(attrs, *arrays):
    """attrs: axis."""
    return (np.concatenate(arrays, axis=attrs["axis"]),)


@kernel("Identity")
def identity(attrs, x):
    return (x,)


@kernel("Transpose")
def onnx_transpose(attrs, x):
    return (np.ascontiguousarray(x.transpose(attrs.get("perm"))),)


@kernel("Reshape")
def onnx_reshape(attrs, x, shape=None):
    """ONNX Reshape: 0 keeps an axis (unless allowzero), -1 takes what is left. The shape may be an attribute."""
    shape = attrs["shape"] if shape is None else shape
    keep = not attrs.get("allowzero", 0)
    sizes = [x.shape[i] if n == 0 and keep else int(n) for i, n in enumerate(shape)]
    return (x.reshape(sizes),)


@kernel("Flatten")
def flatten(attrs, x):
    axis = attrs.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return (x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1),)


@kernel("Squeeze")
def squeeze(attrs, x, axes=None):
    axes = attrs.get("axes") if axes is None else axes
    return (x.squeeze(None if axes is None else tuple(int(a) for a in axes)),)


@kernel("Unsqueeze")
def unsqueeze(attrs, x, axes=None):
    axes = attrs["axes"] if axes is None else axes
    return (np.expand_dims(x, tuple(int(a) for a in axes)),)


@kernel("Concat")
def onnx_concat(attrs, *arrays):
    return (np.concatenate(arrays, axis=attrs["axis"]),)


def slice_ranges(shape, starts, ends, axes=None, steps=None) -> list[range]:
    """ONNX Slice's indices, one range for each axis of `shape`."""
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    ranges = [range(n) for n in shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = int(axis) % len(shape)
        ranges[axis] = range(*slice(int(start), int(end), int(step)).indices(shape[axis]))
    return ranges


@kernel("Slice")
def onnx_slice(attrs, x, starts=None, ends=None, axes=None, steps=None):
    """ONNX Slice; starts, ends, axes and steps as inputs or as attributes."""
    if starts is None:
        starts, ends, axes, steps = attrs["starts"], attrs["ends"], attrs.get("axes"), attrs.get("steps")
    return (x[np.ix_(*slice_ranges(x.shape, starts, ends, axes, steps))],)


@kernel("Split")
def split(attrs, x, sizes=None):
    """ONNX Split: attrs: axis, num_outputs; the sizes of the parts as the second input, or as attribute split (opset 11)."""
    axis = attrs.get("axis", 0)
    sizes = attrs.get("split") if sizes is None else sizes
    if sizes is None:
        each = -(-x.shape[axis] // attrs["num_outputs"])
        sizes = [min(each, x.shape[axis] - at) for at in range(0, x.shape[axis], each)]
    return tuple(np.ascontiguousarray(part) for part in np.split(x, np.cumsum(sizes)[:-1], axis))


@kernel("Pad")
def onnx_pad(attrs, x, pads=None, value=None, axes=None):
    """ONNX Pad, mode constant; pads and value as inputs, or as attributes (opset 2)."""
    pads = attrs["pads"] if pads is None else pads
    value = attrs.get("value", 0) if value is None else value
    axes = range(x.ndim) if axes is None else axes
    widths = [(0, 0)] * x.ndim
    half = len(pads) // 2
    for i, axis in enumerate(axes):
        widths[int(axis)] = (int(pads[i]), int(pads[i + half]))
    return (np.pad(x, widths, constant_values=np.asarray(value).reshape(-1)[0]),)


@kernel("Gather")
def gather(attrs, x, indices):
    return (np.asarray(x.take(indices, axis=attrs.get("axis", 0))),)


@kernel("Expand")
def expand(attrs, x, shape):
    return (np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in shape))).copy(),)


@kernel("Cast")
def cast(attrs, x):
    """attrs: to, the name of a NumPy dtype."""
    return (x.astype(attrs["to"]),)


@kernel("Shape")
def shape_of(attrs, x):
    return (np.array(x.shape[attrs.get("start", 0):attrs.get("end")], np.int64),)


@kernel("ConstantOfShape")
def constant_of_shape(attrs, shape):
    """attrs: value (a number), dtype."""
    return (np.full(tuple(int(n) for n in shape), attrs.get("value", 0), attrs.get("dtype", "float32")),)
