"""Matrix products: `dense` on int8 with requantisation lanes, `Gemm` and `MatMul` on real numbers."""

import numpy as np

from .quantise import apply_lanes
from .registry import kernel
from .windows import exact_float, whole_weights


@kernel("dense")
def dense(attrs, x, w, qnt, table=None):
    """x int8 [N, C] or [N, C, 1, 1], w int8 [O, C], qnt [O], optional table [256] -> int8 [N, O].

    With attribute parts, w is [O, C, parts, 1], and its parts are added up.
    """
    real = exact_float(w[0].size)
    w = whole_weights(attrs, w).reshape(w.shape[:2])
    acc = x.reshape(len(x), -1).astype(real) @ w.T.astype(real)
    return (apply_lanes(acc.astype(np.int64).astype(np.int32), qnt, table),)


@kernel("product_bias")
def product_bias(attrs, w, qnt):
    """w int8 [O, C], qnt [O] -> qnt [O] whose bias takes off what the zero point of x adds to sums of x * w. attrs: zero_point."""
    lanes = qnt.copy()
    lanes["bias"] -= attrs["zero_point"] * w.sum(1, dtype=np.int32)
    return (lanes,)


@kernel("product")
def product(attrs, x, w, qnt, table=None):
    """dense(x, w, product_bias(w, qnt), table): x int8 [N, C], w int8 [O, C]; attrs: zero_point, of x."""
    return dense({}, x, w, *product_bias(attrs, w, qnt), table)


@kernel("Gemm")
def gemm(attrs, a, b, c=None):
    """ONNX Gemm: alpha * A' B' + beta * C; A may be [N, C, 1, 1]. attrs: alpha, beta, transA, transB."""
    a = a.reshape(len(a), -1) if a.ndim == 4 else a
    a = a.T if attrs.get("transA", 0) else a
    b = b.T if attrs.get("transB", 0) else b
    y = attrs.get("alpha", 1.0) * (a @ b)
    return ((y if c is None else y + attrs.get("beta", 1.0) * c).astype(a.dtype),)


@kernel("MatMul")
def matmul(attrs, a, b):
    return (a @ b,)
