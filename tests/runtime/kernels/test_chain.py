"""Chains: their steps one after the other."""

import numpy as np

from weft.runtime.kernels import run


def test_steps_read_inputs_and_results():
    x, z = np.array([1.0, -2.0, 3.0], np.float32), np.array([4.0], np.float32)
    steps = ({"op": "Mul", "attrs": {}, "inputs": (0, 1)}, {"op": "Relu", "attrs": {}, "inputs": (2,)},
             {"op": "Sub", "attrs": {"maximum": 8.5}, "inputs": (3, 0)})
    (y,) = run("chain", {"steps": steps}, x, z)
    assert y.tolist() == [3.0, 2.0, 8.5]  # relu(4 x) - x, at most 8.5
