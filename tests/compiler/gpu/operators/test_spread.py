"""Operators that take the CPU's loops: equal to their meaning over threads, and accepted by ptxas."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import graph_of, integers, meaning, reals
from tests.compiler.cpu.operators.test_integers import lanes
from tests.compiler.gpu.harness import run
from weft.runtime.kernels.normalise import exponentials

RNG = np.random.default_rng(0)
X, F = integers(RNG, (1, 20, 5, 6)), reals(RNG, (2, 3, 40))
QUANTISED = {"scale": 0.05, "zero_point": 3, "dtype": "int8", "rounding": "half_even"}
CASES = {
    "add": ("add", {"a": X, "b": X[:, ::-1].copy()}, {"multipliers": (300, -200)}, {"q": lanes(RNG, 20, 1 << 16, 1, False)}),
    "mul, a value a channel": ("mul", {"a": X, "b": integers(RNG, (1, 20, 1, 1))}, {"zero_points": (3, -4)}, {"q": lanes(RNG, 20, 1 << 14, 2, True)}),
    "lut": ("lut", {"x": X}, {}, {"t": integers(RNG, 256)}),
    "quantize": ("quantize", {"x": F}, QUANTISED, {}),
    "dequantize": ("dequantize", {"x": X}, {"scale": 0.05, "zero_point": 3}, {}),
    "transpose": ("transpose", {"x": X}, {"perm": (0, 2, 3, 1)}, {}),
    "product": ("product", {"x": integers(RNG, (5, 37)), "w": integers(RNG, (18, 37))}, {"zero_point": 4}, {"q": lanes(RNG, 18, 1 << 18, 1, True)}),
    "softmax": ("softmax", {"x": integers(RNG, (3, 70))}, {"axis": -1, "scale": 1 / 256, "zero_point": -128, "dtype": "int8", "rounding": "half_away"},
                {"t": exponentials(0.1)}),
}
REAL = {
    "Softmax": ("Softmax", {"x": F}, {"axis": -1}, {}),
    "LayerNormalization": ("LayerNormalization", {"x": F}, {"axis": -1}, {"s": reals(RNG, (40,)), "b": reals(RNG, (40,))}),
    "Sigmoid": ("Sigmoid", {"x": F}, {}, {}), "Gelu": ("Gelu", {"x": F}, {}, {}), "ReduceMean": ("ReduceMean", {"x": F}, {"axes": (-1,)}, {}),
    "Add": ("Add", {"x": F, "z": reals(RNG, (40,))}, {}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_whole_numbers_are_equal(case):
    op, inputs, attrs, constants = CASES[case]
    graph = graph_of(op, inputs, attrs, constants)
    assert np.array_equal(run(graph, inputs)[0], meaning(graph, inputs)[0])


@pytest.mark.parametrize("case", REAL)
def test_real_numbers_are_close(case):
    op, inputs, attrs, constants = REAL[case]
    graph = graph_of(op, inputs, attrs, constants)
    expected = meaning(graph, inputs)[0]
    assert np.abs(run(graph, inputs)[0] - expected).max() <= 1e-5 * np.abs(expected).max()
