"""TFLite's operators of two operands and by axes, against NumPy in TFLite's own layout, all on the accelerator."""

import numpy as np
import pytest

from weft.compiler.frontends.tflite_operators import _BINARY

from .flatbuffer import Op, T
from .test_tflite_moves import IMAGE, SHAPE, run, stored, whole

EDGE = {"transpose"}


def real(values) -> np.ndarray:
    return (values.astype(np.float64) - 5) * 0.1


def compare(found: np.ndarray, expected: np.ndarray) -> None:
    """Both stored, as `stored` says."""
    steps = np.round(expected / 0.1, 9)
    units = np.abs(found.astype(int) - np.clip(np.trunc(steps + np.copysign(0.5, steps)) + 5, -128, 127))
    assert units.max() <= 1 and (units == 0).mean() > 0.99


MEANINGS = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "MAXIMUM": np.maximum, "MINIMUM": np.minimum,
            "PRELU": lambda a, b: np.where(a < 0, a * b, a)}


@pytest.mark.parametrize("shape", [(32,), (1, 1, 32), (1, 1, 1, 32), ()])
@pytest.mark.parametrize("kind", MEANINGS)
def test_constants_of_fewer_axes(kind, shape):
    b = stored("b", shape)
    b.data = np.random.default_rng(7).integers(-20, 30, shape).astype(np.int8)
    options = (f"{kind.title()}Options", {}) if kind in ("ADD", "SUB", "MUL") else ("", {})
    (found,), host = run([stored("x", SHAPE), b, stored("y", SHAPE)], [Op(kind, [0, 1], [2], options)], [2])
    assert host <= EDGE
    compare(found, MEANINGS[kind](real(IMAGE), real(b.data)))


@pytest.mark.parametrize("kind", ["MAXIMUM", "MINIMUM"])
def test_two_tensors(kind):
    """The second is the first, negated."""
    tensors = [stored("x", SHAPE), stored("n", SHAPE), stored("y", SHAPE)]
    (found,), host = run(tensors, [Op("NEG", [0], [1]), Op(kind, [0, 1], [2])], [2])
    assert host <= EDGE
    compare(found, MEANINGS[kind](real(IMAGE), -real(IMAGE)))


def test_the_largest_of_a_map():
    tensors = [stored("x", SHAPE), whole("axes", [1, 2]), stored("y", (1, 32))]
    (found,), host = run(tensors, [Op("REDUCE_MAX", [0, 1], [2], ("ReducerOptions", {"KeepDims": False}))], [2])
    assert host <= EDGE
    np.testing.assert_array_equal(found, IMAGE.max((1, 2)))


def test_from_zero_to_one():
    y = T("y", SHAPE, "int8", 0.1, 5)
    (found,), _ = run([stored("x", SHAPE), y], [Op("RELU_0_TO_1", [0], [1])], [1])
    np.testing.assert_array_equal(found, IMAGE.clip(5, 15))


def test_every_operator_of_two_is_shown():
    assert set(MEANINGS) == set(_BINARY) - {"DIV"}
