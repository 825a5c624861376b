import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.cpu import harness
from weft.compiler.cpu import operators
from weft.compiler.cpu.kernel import View, channels_last, plain
from weft.compiler.stmt import For, LoopProgram

DTYPES = ("float32", "int8", "int32")


def squares(program: LoopProgram) -> int:
    """Loops that are turned."""
    def within(stmt) -> int:
        inner = stmt.body if isinstance(getattr(stmt, "body", None), list) else [stmt.body] if hasattr(stmt, "body") else []
        return (isinstance(stmt, For) and stmt.tensorize == "transpose") + sum(map(within, inner))
    return within(program.body)


def values(shape, dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, shape).astype(dtype)


def moved(x: np.ndarray, source: View, target: View, form=harness.FORMS[0], parts: int = 1) -> tuple[np.ndarray, int]:
    """x through a layout node, and in how many squares."""
    graph = harness.graph_of("Identity", {"x": x}, {})
    graph.nodes[0].op = "layout"
    views = {"x": source, "y0": target}
    (kernel,) = operators.build(graph.nodes[0], graph, views, form)
    (y,) = harness.run(graph, {"x": x}, views, form, parts)
    return y, squares(kernel.program)


@pytest.mark.parametrize("form", harness.FORMS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_images_change_their_layout_in_squares(dtype, form):
    x, inner = values((2, 37, 5, 21), dtype), "uint8" if dtype == "int8" else dtype
    for border in ((0, 0, 0, 0), (1, 2, 0, 3)):
        image = channels_last(inner, x.shape, border)
        for source, target in ((plain(dtype, x.shape), image), (image, plain(dtype, x.shape))):
            y, turned = moved(x, source, target, form, 3)
            assert np.array_equal(y, x) and y.dtype == x.dtype and turned > 0


@given(n=st.integers(1, 2), c=st.integers(1, 40), h=st.integers(1, 4), w=st.integers(1, 40), border=st.tuples(*[st.integers(0, 2)] * 4),
       dtype=st.sampled_from(DTYPES), out=st.booleans(), parts=st.integers(1, 4))
def test_any_size(n, c, h, w, border, dtype, out, parts):
    x = values((n, c, h, w), dtype)
    image, rows = channels_last("uint8" if dtype == "int8" else dtype, x.shape, border), plain(dtype, x.shape)
    assert np.array_equal(moved(x, *((image, rows) if out else (rows, image)), parts=parts)[0], x)


def test_a_function_of_values_is_computed_in_the_same_squares():
    x = np.random.default_rng(1).standard_normal((1, 20, 3, 19)).astype(np.float32)
    attrs = {"scale": 0.05, "zero_point": 3, "dtype": "int8", "rounding": "half_even"}
    graph = harness.graph_of("quantize", {"x": x}, attrs)
    views = {"x": plain("float32", x.shape), "y0": channels_last("uint8", x.shape)}
    (kernel,) = operators.build(graph.nodes[0], graph, views, harness.FORMS[0])
    (y,) = harness.run(graph, {"x": x}, views)
    assert np.array_equal(y, harness.meaning(graph, {"x": x})[0]) and squares(kernel.program) > 0


def test_what_lies_alike_is_not_turned():
    x = values((2, 32, 4, 16), "float32")
    for view in (plain("float32", x.shape), channels_last("float32", x.shape)):
        y, turned = moved(x, view, view)
        assert np.array_equal(y, x) and turned == 0
