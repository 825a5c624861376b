"""Tables, alone and behind other operators."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network, assert_right
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator
from weft.isa import DEFAULT, PRESETS

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9))


@given(SHAPES, CONFIGS, THREADS)
def test_random_tables(shape, config, threads):
    network = Network()
    network.lut(network.input(*shape))
    assert_operator(network, config, threads)


FUSED = {"conv2d": lambda n, x: n.conv2d(x, 20, 3, pad=1), "dense": lambda n, x: n.dense(x, 30),
         "add": lambda n, x: n.add(x, x),
         "requantise": lambda n, x: n.requantise(x), "mul": lambda n, x: n.mul(x, x, (3, -7)),
         "grouped": lambda n, x: n.conv2d(x, 32, 1, groups=2)}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("config", [PRESETS[name] for name in ("default", "1x8x8", "2x16x16")], ids=lambda c: c.name)
@pytest.mark.parametrize("operator", FUSED)
def test_a_table_behind(operator, config, threads):
    network = Network()
    x = network.input(2, 40) if operator == "dense" else network.input(2, 32, 9, 7)
    FUSED[operator](network, x)
    network.fuse_table()
    assert_operator(network, config, threads)


def test_tables_of_several_layers_take_turns():
    network = Network()
    y = network.input(1, 20, 8, 8)
    for _ in range(6):
        y = network.lut(network.requantise(y))
    assert_right(network, DEFAULT)
