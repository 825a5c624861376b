"""Matrix products as machine code against what NumPy makes of them: exact for int8, close for float32."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, outside, reals, run, views_of
from tests.compiler.cpu.operators.test_conv import lanes
from weft.compiler.cpu import operators
from weft.compiler.cpu.kernel import channels_last

each_form = pytest.mark.parametrize("form", FORMS, ids=str)


def rows(graph, name):
    return inside(graph, name, False)


@each_form
@pytest.mark.parametrize("n, inputs, outputs, more", [
    (1, 64, 10, {}), (1, 30, 40, {}), (5, 17, 33, {}), (20, 64, 128, {}), (2, 8, 12, dict(table=True)),
    (2, 9, 20, dict(parts=2)), (3, 1, 1, {})])
def test_dense(form, n, inputs, outputs, more):
    rng = np.random.default_rng(n + inputs)
    parts = more.get("parts", 1)
    w = integers(rng, (outputs, inputs, parts, 1) if parts > 1 else (outputs, inputs))
    constants = {"w": w, "q": lanes(rng, outputs, shift=(22, 24))} | ({"t": integers(rng,
                                                                                     (256,))} if "table" in more else {})
    graph = graph_of("dense", {"x": integers(rng, (n, inputs))}, {"parts": parts} if parts > 1 else {}, constants)
    values = {"x": integers(rng, (n, inputs))}
    for layout in (rows, lambda graph, name: inside(graph, name, True)):
        (y,), (expected,) = run(graph, values, views_of(graph, layout), form, 2), meaning(graph, values)
        np.testing.assert_array_equal(y, expected)


@each_form
def test_dense_of_a_pixel(form):
    rng = np.random.default_rng(1)
    values = {"x": integers(rng, (3, 20, 1, 1))}
    graph = graph_of("dense", values, {}, {"w": integers(rng, (18, 20)), "q": lanes(rng, 18, shift=(22, 24))})
    views = {"x": channels_last("uint8", (3, 20, 1, 1)), "y0": rows(graph, "y0")}
    (y,), (expected,) = run(graph, values, views, form, 2), meaning(graph, values)
    np.testing.assert_array_equal(y, expected)


def close(graph, values, form, layout=rows):
    (y,), (expected,) = run(graph, values, views_of(graph, layout), form, 2), meaning(graph, values)
    assert y.shape == expected.shape and np.abs(y - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@each_form
@pytest.mark.parametrize("a, b, constant", [
    ((1, 99, 64), (64, 256), True), ((3, 5), (5, 7), True), ((2, 3, 9, 20), (20, 33), True),
    ((1, 9, 16), (1, 16, 21), False),
    ((2, 9, 16), (2, 16, 32), False), ((2, 3, 4, 8), (2, 3, 8, 5), False), ((2, 4, 8), (8, 20), False),
    ((4, 8), (3, 8, 20), False),
    ((2, 4, 8), (2, 8, 20), True)])
def test_matmul(form, a, b, constant):
    rng = np.random.default_rng(5)
    values, second = {"a": reals(rng, a)}, reals(rng, b)
    values, constants = (values, {"b": second}) if constant else (values | {"b": second}, {})
    graph = graph_of("MatMul", values, {"maximum": 9.0}, constants)
    close(graph, values, form)
    close(graph, values, form, outside)


@each_form
@pytest.mark.parametrize("attrs, c, constants", [
    ({}, (21,), "bc"), ({"transB": 1}, (1, 21), "bc"), ({"alpha": 0.5, "beta": 2.0}, (4, 21), "bc"),
    ({"transA": 1}, None, "b"),
    ({"transB": 1}, (4, 1), "c"), ({"beta": 3.0}, (4, 21), ""), ({"minimum": 0.0}, (), "bc"),
    ({"alpha": 2.0, "transA": 1, "transB": 1}, (21,), "b")])
def test_gemm(form, attrs, c, constants):
    rng = np.random.default_rng(6)
    arrays = {"a": reals(rng, (12, 4) if attrs.get("transA") else (4, 12)),
              "b": reals(rng, (21, 12) if attrs.get("transB") else (12, 21))}
    arrays |= {} if c is None else {"c": reals(rng, c)}
    given = {name: value for name, value in arrays.items() if name not in constants}
    graph = graph_of("Gemm", given, attrs, {name: arrays[name] for name in constants}, tuple(arrays))
    close(graph, given, form)


def test_what_has_no_kernel():
    rng = np.random.default_rng(0)
    why = lambda op, values, constants={}: operators.why_not((g := graph_of(op, values, {}, constants)).nodes[0],
                                                             g)  # noqa: E731
    a = reals(rng, (2, 3, 4, 5))
    assert why("MatMul", {"a": a, "b": reals(rng, (3, 5, 6))}) == "its matrices are shared in several ways"
    graph = graph_of("MatMul", {"b": reals(rng, (5, 6))}, {}, {"a": a}, ("a", "b"))
    assert operators.why_not(graph.nodes[0], graph) == "its first factor is constant"
    assert why("MatMul", {"a": a, "b": reals(rng, (5,))}) == "a factor is no matrix"
    assert why("MatMul", {"a": a.astype(np.float64), "b": reals(rng, (5, 6)).astype(np.float64)}) == "it is not of float32"
    graph = graph_of("dense", {"x": integers(rng, (1, 4)), "w": integers(rng, (2, 4))}, {}, {"q": lanes(rng, 2)})
    assert operators.why_not(graph.nodes[0], graph) == "its parameters 'w' are not constant"
