"""Products of computed matrices on CPUs: equal to NumPy's, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, outside, run, views_of
from tests.compiler.cpu.operators.test_integers import lanes


def check(n, depth, o, seed, with_table, layout, form, parts=1):
    rng = np.random.default_rng(seed)
    inputs = {"x": integers(rng, (n, depth)), "w": integers(rng, (o, depth))}
    constants = {"q": lanes(rng, o, 1 << 18, seed % 3, seed % 2)} | ({"t": integers(rng, 256)} if with_table else {})
    graph = graph_of("product", inputs, {"zero_point": seed - 50}, constants)
    assert np.array_equal(run(graph, inputs, views_of(graph, layout), form, parts)[0], meaning(graph, inputs)[0])


@given(st.integers(1, 20), st.integers(1, 70), st.integers(1, 40), st.integers(0, 99), st.booleans(),
       st.sampled_from([inside, outside]), st.sampled_from(FORMS), st.integers(1, 2))
def test_any_size(n, depth, o, seed, with_table, layout, form, parts):
    check(n, depth, o, seed, with_table, layout, form, parts)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("shape", [(99, 64, 99), (99, 99, 64)])
def test_products_of_a_transformer(shape, form):
    check(*shape, 7, False, inside, form, 2)
