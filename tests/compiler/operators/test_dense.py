"""Matrix products of random shapes, and of ones that need tiles of outputs and of the reduction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator
from weft.isa import DEFAULT


@given(st.integers(1, 9), st.integers(1, 150), st.integers(1, 150), st.integers(0, 99), CONFIGS, THREADS)
def test_random_products(batch, depth, outputs, seed, config, threads):
    network = Network(seed)
    network.dense(network.input(batch, depth), outputs)
    assert_operator(network, config, threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_large_product(threads):
    network = Network()
    network.dense(network.input(1, 2048), 1000)
    assert_operator(network, DEFAULT, threads)
