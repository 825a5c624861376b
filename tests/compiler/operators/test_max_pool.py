"""The largest of windows, padded, clamped, and over images larger than the scratchpads."""

import pytest
from hypothesis import given, settings
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
    clamp = data.draw(st.fixed_dictionaries({}, optional={"minimum": st.integers(-128, 0), "maximum": st.integers(1, 127)}))
    network.max_pool(x, kernel, data.draw(st.integers(1, 3)), data.draw(st.integers(0, kernel - 1)), **clamp)
    assert_operator(network, config, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("config", ["default", "1x8x8"])
def test_a_large_image(config, threads):
    network = Network()
    network.max_pool(network.input(1, 32, 56, 56), 3, 2, 1)
    assert_operator(network, PRESETS[config], threads)


@settings(max_examples=30)
@given(st.integers(1, 4), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 3), CONFIGS, THREADS)
def test_dilated_windows(kernel, dilations, stride, config, threads):
    network = Network()
    reach = [(kernel - 1) * d + 1 for d in dilations]
    network.max_pool(network.input(1, 20, reach[0] + 4, reach[1] + 3), kernel, stride, 1, dilations=dilations)
    assert_operator(network, config, threads)
