"""Weights that do not fit int8 become sums of weights that do.

uint8 weights with a zero point span up to nine bits: x * (w - zero point) is exact as x * w1 + x * w2, and the accelerator
adds both into the same sum. The parts lie one below the other along the kernel's rows: [O, C, parts * KH, KW].
"""

import numpy as np


def split(weight: np.ndarray) -> tuple[np.ndarray, int]:
    """(int8 weights [O, C, parts * KH, KW], parts) of whole weights [O, C, KH, KW] or [O, C]; these as they are if they
    fit."""
    parts, left = [], weight.astype(np.int64)
    while not parts or left.any():
        parts.append(left.clip(-128, 127).astype(np.int8))
        left = left - parts[-1]
    if len(parts) == 1:
        return parts[0], 1
    rows = [part.reshape(*part.shape, *(1,) * (4 - part.ndim)) for part in parts]
    return np.concatenate(rows, axis=2), len(parts)
