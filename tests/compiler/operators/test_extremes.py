"""The larger and the smaller of two tensors."""

from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator
from weft.isa import DEFAULT


@given(st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9)),
       st.sampled_from(["max", "min"]), CONFIGS, THREADS)
def test_random_extremes(shape, op, config, threads):
    network = Network()
    network.extreme(op, network.input(*shape), network.input(*shape))
    assert_operator(network, config, threads)


def test_of_rows():
    network = Network()
    network.extreme("max", network.input(3, 70), network.input(3, 70))
    assert_operator(network, DEFAULT, 2)
