"""Operators that move values on CPUs: equal to NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu.harness import FORMS, graph_of, inside, integers, meaning, outside, reals, run, shapes, views_of
from weft.compiler.cpu import operators
from weft.compiler.graph import TensorType


def arrays(rng, shape, dtype):
    return reals(rng, shape) if dtype == "float32" else integers(rng, shape, dtype)


def check(op, inputs, attrs, layouts=(True, True), constants=None, order=None, parts=1, form=FORMS[0]):
    graph = graph_of(op, inputs, attrs, constants, order)
    places = iter([*layouts] * 4)
    views = {name: (inside if next(places) else outside)(graph, name) for name in (*inputs, *graph.outputs)}
    assert all(map(np.array_equal, run(graph, inputs, views, form, parts), meaning(graph, inputs)))


LAYOUTS = st.tuples(st.booleans(), st.booleans())
DTYPES = st.sampled_from(["int8", "uint8", "float32"])


@given(shapes(1, 4), st.randoms(use_true_random=False), DTYPES, LAYOUTS, st.integers(1, 2))
def test_transpose(shape, random, dtype, layouts, parts):
    perm = list(range(len(shape)))
    random.shuffle(perm)
    check("transpose", {"x": arrays(np.random.default_rng(0), shape, dtype)}, {"perm": tuple(perm)}, layouts, parts=parts)


@given(st.lists(st.integers(2, 6), min_size=1, max_size=4), st.randoms(use_true_random=False), DTYPES, LAYOUTS)
def test_reshape(factors, random, dtype, layouts):
    """From one product of the factors to another, and with axes of one value."""
    def grouped():
        random.shuffle(factors)
        shape = [1] * random.randint(1, 3)
        for factor in factors:
            shape[random.randrange(len(shape))] *= factor
        return tuple(shape)

    check("reshape", {"x": arrays(np.random.default_rng(0), grouped(), dtype)}, {"shape": grouped()}, layouts)


@given(shapes(1, 4), st.randoms(use_true_random=False), DTYPES, LAYOUTS)
def test_slice(shape, random, dtype, layouts):
    starts, ends, steps = [], [], []
    for n in shape:
        step = random.choice([1, 2, 3, -1, -2])
        first, last = sorted((random.randrange(n), random.randrange(n)))
        starts.append(first if step > 0 else last)
        ends.append(last + 1 if step > 0 else first - 1)
        steps.append(step)
    attrs = {"starts": starts, "ends": ends, "steps": steps}
    check("slice", {"x": arrays(np.random.default_rng(0), shape, dtype)}, attrs, layouts)


@given(shapes(1, 4), st.randoms(use_true_random=False), DTYPES, LAYOUTS)
def test_pad(shape, random, dtype, layouts):
    before, after = ([random.randint(0, 3) for _ in shape] for _ in range(2))
    attrs = {"before": before, "after": after, "value": 5}
    check("pad", {"x": arrays(np.random.default_rng(0), shape, dtype)}, attrs, layouts)


@given(shapes(1, 4, 9), st.integers(0, 3), st.lists(st.integers(1, 20), min_size=1, max_size=3), DTYPES, LAYOUTS)
def test_concat(shape, axis, sizes, dtype, layouts):
    rng, axis = np.random.default_rng(0), axis % len(shape)
    inputs = {f"x{k}": arrays(rng, (*shape[:axis], n, *shape[axis + 1:]), dtype) for k, n in enumerate(sizes)}
    check("concat", inputs, {"axis": axis}, layouts)


@pytest.mark.parametrize("op, attrs, constants", [
    ("Transpose", {}, {}), ("Transpose", {"perm": (0, 2, 1, 3), "minimum": 0.0}, {}),
    ("Reshape", {}, {"s": np.array([2, -1])}),
    ("Reshape", {"shape": (7, 2, 60)}, {}), ("Flatten", {}, {}), ("Unsqueeze", {"axes": (0, 5)}, {}), ("Identity", {}, {}),
    ("Slice", {}, {"b": np.array([1]), "e": np.array([-1]), "a": np.array([-3]), "s": np.array([2])}),
    ("Slice", {"starts": (0, 2), "ends": (1, 5), "axes": (0, 1)}, {}), ("Split", {"axis": 1, "num_outputs": 3}, {}),
    ("Split", {"axis": 1}, {"s": np.array([1, 19])}), ("Pad", {"pads": (0, 1, 0, 2, 0, 1, 3, 0)}, {}),
    ("Pad", {}, {"p": np.array([1, 2]), "v": np.float32(3), "a": np.array([-1])}),
    ("Expand", {}, {"s": np.array([3, 2, 20, 3, 7])}),
    ("Gather", {"axis": 1}, {"i": np.array(-2)}), ("Gather", {"axis": 2}, {"i": np.array([[0, 2], [1, 1]])}),
    ("DepthToSpace", {"blocksize": 2}, {}), ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, {}),
    ("Concat", {"axis": -1}, {"c": np.ones((2, 20, 3, 1), np.float32)}),
])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_others(op, attrs, constants, form):
    check(op, {"x": reals(np.random.default_rng(1), (2, 20, 3, 7))}, attrs, constants=constants, form=form)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("steps", [
    (("transpose", (0, 2, 3, 1)), ("reshape", (1, 21, 20))), (("reshape", (60, 7)), ("transpose", (1, 0))),
    (("reshape", (7, 60)), ("flip",), ("transpose", (1, 0)), ("reshape", (420,)))])
def test_views(dtype, steps):
    steps = tuple(step for step in steps if dtype != "float32" or step[0] != "flip")
    for layouts in ((True, False), (False, True), (False, False)):
        check("view", {"x": arrays(np.random.default_rng(3), (1, 20, 3, 7), dtype)}, {"steps": steps}, layouts)


def test_blocks_into_channels():
    check("SpaceToDepth", {"x": reals(np.random.default_rng(1), (2, 5, 4, 6))}, {"blocksize": 2})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("shape", [(1, 3, 5, 6), (2, 20, 3, 4), (3, 99), (7,), ()])
def test_layouts(dtype, shape):
    x = arrays(np.random.default_rng(2), shape, dtype)
    for first, second in ((inside, outside), (outside, inside)):
        graph = graph_of("Identity", {"x": x}, {})
        graph.nodes[0].op = "layout"
        graph.tensors["y0"] = TensorType(shape, dtype)
        (found,) = run(graph, {"x": x}, {"x": first(graph, "x"), "y0": second(graph, "y0")})
        assert np.array_equal(found, x)


def test_what_is_refused():
    graph = graph_of("Transpose", {"x": np.ones((2, 3), np.int64)}, {})
    assert operators.why_not(graph.nodes[0], graph) == "the CPU moves int8, uint8, float32, int32, not int64"
    graph = graph_of("Gather", {"x": np.ones((2, 3), np.float32), "i": np.array(1)}, {})
    assert operators.why_not(graph.nodes[0], graph) == "its parameters are not constant"
    assert len(views_of(graph)) == 3
