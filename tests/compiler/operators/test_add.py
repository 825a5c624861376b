"""Sums of tensors at different scales."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator
from weft.isa import Config

MULTIPLIERS = st.sampled_from([1, -1, 7]) | st.integers(-2**15, 2**15 - 1)


@given(st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9)),
       st.tuples(MULTIPLIERS, MULTIPLIERS), st.booleans(), CONFIGS, THREADS)
def test_random_sums(shape, multipliers, same, config, threads):
    network = Network()
    a = network.input(*shape)
    network.add(a, a if same else network.input(*shape))
    network.graph.nodes[0].attrs["multipliers"] = multipliers
    assert_operator(network, config, threads)


@given(st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9)),
       st.tuples(MULTIPLIERS, MULTIPLIERS), st.booleans(), CONFIGS, THREADS)
def test_one_value_a_channel(shape, multipliers, first, config, threads):
    network = Network()
    whole, each = network.input(*shape), network.input(*shape[:2], 1, 1)
    network.add(*((each, whole) if first else (whole, each)))
    network.graph.nodes[0].attrs["multipliers"] = multipliers
    assert_operator(network, config, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(1, 64, 56, 56), (1, 1000)])
def test_sums_larger_than_the_scratchpads(shape, threads):
    network = Network()
    network.add(network.input(*shape), network.input(*shape))
    assert_operator(network, Config(name="small", acc_buffer=1 << 13), threads)
