"""Depthwise convolutions and pools of int8: equal to NumPy's, and accepted by ptxas."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import graph_of, integers, meaning
from tests.compiler.cpu.operators.test_integers import lanes
from tests.compiler.gpu.harness import run


def check(op, rng, shape, attrs, constants):
    x = integers(rng, shape)
    graph = graph_of(op, {"x": x}, attrs, constants)
    assert np.array_equal(run(graph, {"x": x})[0], meaning(graph, {"x": x})[0])


@pytest.mark.parametrize("shape, kernel, stride, pads, table", [
    ((1, 16, 9, 9), (3, 3), 1, (1, 1, 1, 1), False), ((2, 35, 8, 11), (5, 3), 2, (2, 1, 2, 1), True), ((1, 3, 5, 5), (1, 1), 1, (0,) * 4, False),
    ((1, 144, 3, 3), (3, 3), 1, (1, 1, 1, 1), False)])
def test_depthwise(shape, kernel, stride, pads, table):
    rng = np.random.default_rng(0)
    c = shape[1]
    constants = {"w": integers(rng, (c, 1, *kernel)), "q": lanes(rng, c, 4000 * kernel[0] * kernel[1], 1, False)}
    check("depthwise_conv2d", rng, shape, {"strides": (stride,) * 2, "pads": pads, "pad_value": 9},
          constants | ({"t": integers(rng, 256)} if table else {}))


@pytest.mark.parametrize("shape, kernel, strides, pads", [((1, 20, 8, 8), (2, 2), (2, 2), (0, 0, 0, 0)), ((2, 4, 7, 9), (3, 3), (2, 1), (1, 1, 1, 1)),
                                                          ((1, 64, 7, 7), (7, 7), (1, 1), (0, 0, 0, 0))])
def test_pools(shape, kernel, strides, pads):
    rng = np.random.default_rng(1)
    attrs = {"kernel": kernel, "strides": strides, "pads": pads}
    check("max_pool", rng, shape, {**attrs, "dilations": (1, 1), "minimum": -100, "maximum": 90}, {})
    check("avg_pool", rng, shape, {**attrs, "pad_value": -7}, {"q": lanes(rng, shape[1], 200 * kernel[0] * kernel[1], shape[1] % 3, True)})
