"""Requantisation on its own."""

from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator


@given(st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9)) |
       st.tuples(st.integers(1, 3), st.integers(1, 300)), CONFIGS, THREADS)
def test_random_tensors(shape, config, threads):
    network = Network()
    network.requantise(network.input(*shape))
    assert_operator(network, config, threads)
