"""From constants as the accelerator reads them to those that operators mean: the inverse of packing in `layout`.

A module's file holds its constants once, in the image; the logical ones are unpacked from there.
"""

import math
from collections.abc import Callable

import numpy as np

from weft.isa import Config
from weft.isa.quantise import QNT_LANE

from .layout import LUT_TABLE, depthwise_weight_shape, qnt_shape, table_shape, weight_shape


def _weight(packed: np.ndarray, shape: tuple[int, ...], config: Config) -> np.ndarray:
    oo, co, kh, kw, bo, bi = weight_shape(shape, config)
    w = packed.reshape(oo, co, kh, kw, bo, bi).transpose(0, 4, 1, 5, 2, 3).reshape(oo * bo, co * bi, kh, kw)
    return np.ascontiguousarray(w[:shape[0], :shape[1]]).reshape(shape)


def _depthwise(packed: np.ndarray, shape: tuple[int, ...], config: Config) -> np.ndarray:
    co, kh, bo, bi = depthwise_weight_shape(shape, config)
    w = packed.reshape(co, kh, bo, bi).transpose(0, 2, 1, 3).reshape(co * bo, kh, bi)
    return np.ascontiguousarray(w[:shape[0], :, :shape[3]]).reshape(shape)


def _lanes(packed: np.ndarray, shape: tuple[int, ...], config: Config) -> np.ndarray:
    return packed.reshape(-1)[:shape[0]].copy()


def _table(packed: np.ndarray, shape: tuple[int, ...], config: Config) -> np.ndarray:
    return packed.view(np.int8).reshape(shape).copy()


_FORMS: dict[str, tuple[Callable, Callable, np.dtype]] = {  # by role: physical shape, inverse, dtype
    "weight": (weight_shape, _weight, np.dtype(np.int8)), "depthwise": (depthwise_weight_shape, _depthwise, np.dtype(np.int8)),
    "qnt": (qnt_shape, _lanes, QNT_LANE), "table": (table_shape, _table, LUT_TABLE)}


def unpack_constant(role: str, image: np.ndarray, address: int, shape: tuple[int, ...], config: Config) -> np.ndarray:
    """The logical constant of `shape` that lies at a byte of the image, in the layout of its role: 'weight', 'depthwise', 'qnt' or
    'table'. Its dtype is int8, or QNT_LANE."""
    physical, inverse, dtype = _FORMS[role]
    size = math.prod(physical(shape, config)) * dtype.itemsize
    return inverse(image[address:address + size].view(dtype), shape, config)


def can_unpack(role: str, constant: np.ndarray) -> bool:
    """Whether a constant of that role comes back as it was."""
    return role in _FORMS and constant.dtype == (QNT_LANE if role == "qnt" else np.int8)
