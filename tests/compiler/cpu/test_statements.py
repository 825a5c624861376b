"""What happens to lanes when values are stored, in each form that this CPU can run."""

import numpy as np
import pytest

from tests.compiler.cpu.programs import agree, each_form, random
from weft.compiler import te
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule


@each_form
@pytest.mark.parametrize("lanes", [1, 7, 16])
@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_reductions_along_lanes(form, op, lanes):
    rng = np.random.default_rng(1)
    x = te.placeholder("x", {"i": 3, "k": 3 * lanes}, "float32", 0)
    k = te.reduce_axis("k", 3 * lanes)
    y = te.compute("y", {"i": 3}, lambda i: getattr(te, op)(x[i, k], [k], init=0.5), 0)
    s = Schedule(y)
    s[y].vectorise(s[y].split(s[y].leaves[1], lanes)[1])
    agree(lower(s, "r", {"x": x, "y": y}), form, {"x": random(rng, "float32", 9 * lanes), "y": np.zeros(3, np.float32)},
          ulps=16)


@each_form
def test_what_does_not_depend_on_the_lane_is_added_for_each(form):
    x, k = te.placeholder("x", {"i": 3}, "int32", 0), te.reduce_axis("k", 8)
    y = te.compute("y", {"i": 3}, lambda i: te.sum(x[i] * 2, [k]), 0)
    s = Schedule(y)
    s[y].vectorise(k)
    result = agree(lower(s, "r", {"x": x, "y": y}), form, {"x": np.array([1, 2, 3], np.int32), "y": np.zeros(3, np.int32)})
    assert result["y"].tolist() == [16, 32, 48]
