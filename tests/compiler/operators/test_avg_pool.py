"""Sums of windows, up to those of a whole image that does not fit a scratchpad."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator
from weft.isa import PRESETS


@given(st.data(), CONFIGS, THREADS)
def test_random_windows(data, config, threads):
    kernel = data.draw(st.integers(1, 5))
    network = Network(data.draw(st.integers(0, 99)))
    size = [data.draw(st.integers(kernel, 12)) for _ in "hw"]
    x = network.input(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 40)), *size)
    network.avg_pool(x, kernel, data.draw(st.integers(1, 3)), data.draw(st.integers(0, kernel - 1)),
                     data.draw(st.integers(-128, 127)))
    assert_operator(network, config, threads)


@pytest.mark.parametrize("size", [7, 56, 112])
@pytest.mark.parametrize("config", ["default", "1x8x8"])
def test_global_averages(config, size):
    network = Network()
    network.avg_pool(network.input(1, 20, size, size), size, 1)
    assert_operator(network, PRESETS[config], 2)
