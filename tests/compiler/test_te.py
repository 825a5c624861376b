"""Tensor expressions: what they say, and what is refused."""

import pytest

from weft.compiler import te
from weft.compiler.expr import Load
from weft.isa import WeftError


def product(rows: int = 2, depth: int = 3):
    x = te.placeholder("x", {"i": rows, "k": depth}, "int8")
    k = te.reduce_axis("k", depth)
    return x, te.compute("y", {"i": rows, "j": 1}, lambda i, j: te.sum(
        x[i, k].astype("int32") * x[j, k].astype("int32"), [k]))


def test_a_definition_knows_its_type_and_its_sources():
    x, y = product()
    assert (y.shape, y.dtype, y.body.op, y.body.init) == ((2, 1), "int32", "add", 0)
    assert [load.buffer for load in te.loads(y.body)] == [x, x]
    assert str(y.body.value) == "(int32(x[i, k]) * int32(x[j, k]))"


def test_select_of_no_condition_is_the_value():
    x, _ = product()
    i = te.Axis("i", 2)
    assert te.select([], x[i, 0], 7) == x[i, 0]
    assert str(te.select([i.ge(1), i.lt(2)], x[i, 0], 7)) == "select(((i >= 1) and (i < 2)), x[i, 0], 7)"


def test_map_body_drops_casts_that_became_idle():
    x, y = product()
    wide = te.placeholder("wide", {"i": 2, "k": 3}, "int32")
    body = te.map_body(y.body, lambda e: Load(wide, e.indices) if isinstance(e, Load) else e)
    assert str(body.value) == "(wide[i, k] * wide[j, k])"


@pytest.mark.parametrize("make, message", [
    (lambda: te.compute("y", {"i": 0}, lambda i: i),
     "tensor 'y': extents must be at least 1, but found i = 0; try: a tensor with something in it"),
    (lambda: te.placeholder("x", {"i": 2}, "int8")[1, 2],
     "tensor 'x': takes 1 indices, but found 2; try: one index for each axis"),
    (lambda: te.compute("y", {"i": 2}, lambda i: te.placeholder("x", {"i": 2}, "int8")[te.reduce_axis("k", 2)]),
     "tensor 'y': every axis used must be its own or reduced over, but found 'k'; try: sum(..., [axis])"),
])
def test_refusals(make, message):
    with pytest.raises(WeftError) as error:
        make()
    assert str(error.value) == message
