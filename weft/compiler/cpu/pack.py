"""Weights in the order in which kernels of products read them."""

import numpy as np

from .contraction import Contraction


def packed(w: np.ndarray, c: Contraction) -> np.ndarray:
    """w [outputs of all groups, inputs of one, parts * rows, columns] in the shape c.weights_shape; what is beyond is 0."""
    outputs, inputs, rows, columns = w.shape
    groups, vectors, parts, rows, columns, steps, lanes, *four = c.weights_shape
    each = four[0] if four else 1
    full = np.zeros((groups, vectors * lanes, steps * each, parts, rows, columns), w.dtype)
    full[:, :outputs // groups, :inputs] = w.reshape(groups, outputs // groups, inputs, parts, rows, columns)
    full = full.reshape(groups, vectors, lanes, steps, each, parts, rows, columns).transpose(0, 1, 5, 6, 7, 3, 2, 4)
    return np.ascontiguousarray(full).reshape(c.weights_shape)
