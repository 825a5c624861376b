"""Functions of real numbers on CPUs, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, meaning, outside, reals, run, views_of
from weft.compiler.cpu import operators
from weft.compiler.cpu.operators.real import DEFINITIONS, POWERS

BINARY = ("Add", "Sub", "Mul", "Div", "PRelu", "Max", "Min", "Sum")
POSITIVE = ("Sqrt", "Log")
ATTRS = {"LeakyRelu": {"alpha": 0.3}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "Clip": {"min": -1.0, "max": 2.0},
         "Gelu": {"approximate": "tanh"}, "Celu": {"alpha": 1.7}, "ThresholdedRelu": {"alpha": 0.4}}


def close(found, true):
    """Within 4 units in the last place of each, or of 1/4 of the largest."""
    with np.errstate(invalid="ignore"):
        largest = max(1, np.abs(true[np.isfinite(true)]).max(initial=0))
        return np.allclose(found, true, rtol=5e-7, atol=1e-7 * largest, equal_nan=True)


def operands(op, rng, shape):
    x = reals(rng, shape)
    if op in POSITIVE:
        x = np.abs(x) + np.float32(0.01)
    return {"x": x, "z": reals(rng, shape)} if op in BINARY else {"x": x}


@pytest.mark.parametrize("op", [op for op in DEFINITIONS if op != "Pow"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_equals_its_meaning(op, form):
    rng = np.random.default_rng(0)
    for shape in ((1, 20, 3, 5), (3, 99), (33,)):
        inputs = operands(op, rng, shape)
        graph = graph_of(op, inputs, ATTRS.get(op, {}))
        (found,), (true,) = run(graph, inputs, views_of(graph), form), meaning(graph, inputs)
        assert close(found, true)


@pytest.mark.parametrize("exponent", POWERS)
def test_powers(exponent):
    rng = np.random.default_rng(1)
    inputs = {"x": np.abs(reals(rng, (4, 32))) + np.float32(0.1)}
    graph = graph_of("Pow", inputs, {}, {"e": np.float32(exponent)})
    (found,), (true,) = run(graph, inputs, views_of(graph)), meaning(graph, inputs)
    assert np.allclose(found, true, rtol=1e-6)


@st.composite
def broadcasts(draw):
    whole = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    shapes = [tuple(1 if draw(st.booleans()) else n for n in whole)[draw(st.integers(0, len(whole) - 1)):] for _ in range(2)]
    layouts = draw(st.lists(st.booleans(), min_size=3, max_size=3))
    return tuple(whole), shapes, layouts, draw(st.integers(1, 3)), draw(st.integers(0, 99))


@given(broadcasts())
def test_any_broadcast_in_any_layout(case):
    whole, (a, b), layouts, parts, seed = case
    rng = np.random.default_rng(seed)
    inputs = {"a": reals(rng, a), "b": reals(rng, b)}
    graph = graph_of("Add", inputs, {"minimum": 0.0} if seed % 2 else {})
    views = {name: (inside if image else outside)(graph, name) for name, image in zip(("a", "b", "y0"), layouts)}
    (found,), (true,) = run(graph, inputs, views, parts=parts), meaning(graph, inputs)
    assert np.array_equal(found, true)


@given(broadcasts(), st.booleans())
def test_constants_broadcast_as_well(case, first):
    _, (a, b), layouts, parts, seed = case
    rng = np.random.default_rng(seed)
    inputs, constants = {"a": reals(rng, a)}, {"b": reals(rng, b)}
    graph = graph_of("Mul", inputs, {}, constants, ("b", "a") if first else ("a", "b"))
    views = {name: (inside if image else outside)(graph, name) for name, image in zip(("a", "y0"), layouts)}
    (found,), (true,) = run(graph, inputs, views, parts=parts), meaning(graph, inputs)
    assert np.array_equal(found, true)


def test_one_tensor_read_twice():
    x = reals(np.random.default_rng(3), (2, 40))
    graph = graph_of("Mul", {"x": x}, {}, order=("x", "x"))
    (found,) = run(graph, {"x": x}, views_of(graph))
    assert np.array_equal(found, x * x)


def test_what_is_refused():
    rng = np.random.default_rng(4)
    graph = graph_of("Pow", {"x": np.abs(reals(rng, (3, 3)))}, {}, {"e": np.float32(2.5)})
    assert operators.why_not(graph.nodes[0], graph) == "its exponent is none of -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0, 4.0"
    graph = graph_of("Add", {"x": np.ones(3, np.int64), "z": np.ones(3, np.int64)}, {})
    assert operators.why_not(graph.nodes[0], graph) == "the CPU computes Add in float32, not int64"
