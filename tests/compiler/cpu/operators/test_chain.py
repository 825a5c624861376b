"""Chains on CPUs: equal to their steps one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft
from tests.compiler.cpu.harness import FORMS, graph_of, meaning, reals, run, shapes, views_of
from weft.compiler.cpu import operators

GELU = tuple({"op": op, "attrs": {}, "inputs": inputs} for op, inputs in (
    ("Add", (0, 1)), ("Mul", (4, 4)), ("Mul", (5, 4)), ("Mul", (6, 2)), ("Add", (4, 7)), ("Tanh", (8,)), ("Add", (9, 3)),
    ("Mul", (4, 10))))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_function_written_out(form):
    rng = np.random.default_rng(0)
    x = reals(rng, (1, 99, 64))
    graph = graph_of("chain", {"x": x}, {"steps": GELU}, {"b": reals(rng, 64), "c": np.float32(0.04), "one": np.float32(1)})
    (found,), (true,) = run(graph, {"x": x}, views_of(graph), form, 2), meaning(graph, {"x": x})
    assert np.allclose(found, true, rtol=2e-6, atol=2e-6)


STEPS = st.tuples(st.sampled_from(["Add", "Mul", "Sub", "Max", "Tanh", "Relu"]), st.integers(0, 99), st.integers(0, 99))


@given(shapes(1, 4), st.lists(STEPS, min_size=1, max_size=6), st.integers(0, 99))
def test_random_steps(shape, chosen, seed):
    rng = np.random.default_rng(seed)
    inputs = {"x": reals(rng, shape), "z": reals(rng, shape[-1:])}
    steps = []
    for k, (op, a, b) in enumerate(chosen):
        operands = (a % (2 + k),) if op in ("Tanh", "Relu") else (a % (2 + k), b % (2 + k))
        steps.append({"op": op, "attrs": {"minimum": -0.5} if a % 3 == 0 else {}, "inputs": operands})
    steps.append({"op": "Add", "attrs": {}, "inputs": (0, len(steps) + 1)})
    graph = graph_of("chain", inputs, {"steps": tuple(steps)})
    (found,), (true,) = run(graph, inputs, views_of(graph)), meaning(graph, inputs)
    assert np.allclose(found, true, rtol=1e-5, atol=1e-5 * max(1, np.abs(true).max()))


def test_an_unknown_step_is_refused():
    x = reals(np.random.default_rng(1), (3,))
    graph = graph_of("chain", {"x": x}, {"steps": ({"op": "Sin", "attrs": {}, "inputs": (0,)},)})
    assert operators.why_not(graph.nodes[0], graph) == "the CPU has no kernel for Sin"


def test_a_network_of_chains_agrees_within_a_tolerance():
    x = reals(np.random.default_rng(2), (3, 40))
    constants = {"b": reals(np.random.default_rng(3), 40), "c": np.float32(0.04), "one": np.float32(1)}
    graph = graph_of("chain", {"x": x}, {"steps": GELU}, constants)
    _, report = weft.compile(graph, target="cpu", cpu="native").run(x)
    assert report.agrees and not report.bit_exact
