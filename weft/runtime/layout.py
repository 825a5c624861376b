"""Physical layouts: how logical NCHW tensors lie in DRAM, blocked into the elements that instructions address.

activations [N, C, H, W] or [N, C]  ->  (N/batch, C/block, H, W, batch, block), an element being the last two axes
weights [O, C, KH, KW] or [O, C]    ->  (O/block_out, C/block_in, KH, KW, block_out, block_in)
depthwise weights [C, 1, KH, KW]    ->  (C/block_out, KH, block_out, block_in), a row of the kernel along the last axis
qnt [O] of dtype QNT_LANE           ->  (O/block_out, block_out)
table [256]                         ->  (1,) of dtype LUT_TABLE

An activation that a convolution wants gathered (its attribute `gather`) is packed as `gather` of it.

Sizes that do not divide are filled up with zeros.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from weft.isa import Config
from weft.isa.config import LUT_BYTES
from weft.isa.quantise import QNT_LANE

LUT_TABLE = np.dtype([("entries", np.int8, (LUT_BYTES,))])  # a table of lut: entry x & 255 is for x


def _blocks(size: int, block: int) -> int:
    return -(-size // block)


def _four_axes(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    if len(shape) not in (2, 4):
        raise ValueError(f"a blocked tensor has 2 or 4 axes, not shape {shape}")
    return tuple(shape) + (1,) * (4 - len(shape))


def _fill(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if x.shape == shape:
        return x
    filled = np.zeros(shape, x.dtype)
    filled[tuple(slice(0, n) for n in x.shape)] = x
    return filled


def activation_shape(shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    """Physical shape of a logical [N, C, H, W] or [N, C]."""
    n, c, h, w = _four_axes(shape)
    return _blocks(n, config.batch), _blocks(c, config.block_out), h, w, config.batch, config.block_out


def weight_shape(shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    """Physical shape of logical weights [O, C, KH, KW] or [O, C]."""
    o, c, kh, kw = _four_axes(shape)
    return _blocks(o, config.block_out), _blocks(c, config.block_in), kh, kw, config.block_out, config.block_in


def qnt_shape(shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    """Physical shape of [O] lanes."""
    return _blocks(shape[0], config.block_out), config.block_out


def pack_activation(x: np.ndarray, config: Config) -> np.ndarray:
    """int8 [N, C, H, W] or [N, C] in its physical layout, C order. x is read once, and need not be contiguous."""
    packed = np.zeros(activation_shape(x.shape, config), np.int8)
    for part, place in activation_parts(packed, x):
        place[...] = part
    return packed


def unpack_activation(packed: np.ndarray, shape: tuple[int, ...], config: Config) -> np.ndarray:
    """The logical tensor of `shape` from its physical layout (any array of that many values)."""
    x = np.empty(_four_axes(shape), packed.dtype)
    for part, place in activation_parts(packed.reshape(activation_shape(shape, config)), x):
        part[...] = place
    return x.reshape(shape)


def activation_parts(packed: np.ndarray, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of a logical x as [n, H, W, c], each with its place in the physical layout: views, all values of x once."""
    _, blocks, _, _, batch, block = packed.shape
    x = x.reshape(_four_axes(x.shape)).transpose(0, 2, 3, 1)
    for k, b in np.ndindex(blocks, batch):
        part = x[b::batch, :, :, k * block:(k + 1) * block]
        yield part, packed[:len(part), k, :, :, b, :part.shape[3]]


def pack_weight(w: np.ndarray, config: Config) -> np.ndarray:
    """int8 [O, C, KH, KW] or [O, C] in its physical layout, C order."""
    oo, co, kh, kw, bo, bi = weight_shape(w.shape, config)
    w = _fill(w.reshape(_four_axes(w.shape)), (oo * bo, co * bi, kh, kw))
    return np.ascontiguousarray(w.reshape(oo, bo, co, bi, kh, kw).transpose(0, 2, 4, 5, 1, 3))


def pack_qnt(lanes: np.ndarray, config: Config) -> np.ndarray:
    """QNT_LANE [O] in its physical layout."""
    assert lanes.dtype == QNT_LANE, lanes.dtype
    oo, bo = qnt_shape(lanes.shape, config)
    return _fill(lanes, (oo * bo,)).reshape(oo, bo)


def depthwise_weight_shape(shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    """Physical shape of logical weights [C, 1, KH, KW], KW at most block_in."""
    c, _, kh, kw = shape
    assert kw <= config.block_in, shape
    return _blocks(c, config.block_out), kh, config.block_out, config.block_in


def pack_depthwise_weight(w: np.ndarray, config: Config) -> np.ndarray:
    """int8 [C, 1, KH, KW] in its physical layout, C order; taps beyond KW are 0."""
    co, kh, bo, bi = depthwise_weight_shape(w.shape, config)
    w = _fill(w[:, 0], (co * bo, kh, bi))
    return np.ascontiguousarray(w.reshape(co, bo, kh, bi).transpose(0, 2, 1, 3))


def table_shape(shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    """Physical shape of a table [256]."""
    assert shape == (LUT_BYTES,), shape
    return (1,)


def pack_table(table: np.ndarray, config: Config) -> np.ndarray:
    """int8 [256] as LUT_TABLE [1]."""
    return np.ascontiguousarray(table).view(LUT_TABLE)


class GatherAxis(NamedTuple):
    """Rows (or columns) of an image that are packed beside one another: part r of place q, of `size` places with `parts` parts,
    is row first + q * step + r * apart; rows outside of the image are padding."""

    parts: int
    step: int
    apart: int
    first: int
    size: int

    def rows(self) -> np.ndarray:
        """int64 [parts, size]."""
        return self.first + np.arange(self.parts)[:, None] * self.apart + np.arange(self.size) * self.step


def gathered_shape(shape: tuple[int, ...], axes: tuple) -> tuple[int, int, int, int]:
    """Logical shape of `gather` of an image [N, C, H, W]."""
    rows, columns = (GatherAxis(*axis) for axis in axes)
    return shape[0], rows.parts * columns.parts * shape[1], rows.size, columns.size


def gather(x: np.ndarray, axes: tuple, pad_value: int) -> np.ndarray:
    """int8 [N, C, H, W] -> [N, parts of rows * parts of columns * C, places of rows, places of columns].

    axes: the values of a GatherAxis for rows and for columns. Channel (r * parts of columns + s) * C + c is channel c of part r
    of the place's rows and part s of its columns; pad_value is where that is outside of the image.
    """
    n, c = x.shape[:2]
    picked, inside = x, []
    for d, axis in enumerate(axes):
        rows = GatherAxis(*axis).rows()
        inside.append((rows >= 0) & (rows < x.shape[2 + d]))
        picked = picked.take(np.clip(rows, 0, x.shape[2 + d] - 1), axis=2 + 2 * d)  # [N, C, parts, places, ...]
    mask = inside[0][:, :, None, None] & inside[1]
    picked = np.where(mask, picked, np.int8(pad_value)).transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(picked.reshape(gathered_shape(x.shape, axes)))
