"""Products of tensors, point by point or with one value a channel."""

from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator

ZEROS = st.tuples(*[st.sampled_from([0, -128, 127]) | st.integers(-128, 127)] * 2)


@given(st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9)), ZEROS,
       st.sampled_from(["same", "each", "channel", "channel first"]), CONFIGS, THREADS)
def test_random_products(shape, zeros, second, config, threads):
    network = Network()
    a = network.input(*shape)
    b = a if second == "same" else network.input(*(shape if second == "each" else (*shape[:2], 1, 1)))
    network.mul(*((b, a) if second == "channel first" else (a, b)), zeros)
    assert_operator(network, config, threads)
