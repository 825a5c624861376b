"""Loops that become sums of products of bytes, in each form that this CPU can run."""

import numpy as np
import pytest
from llvmlite import ir

from tests.compiler.cpu.programs import FORMS, agree, each_form, random
from weft.compiler import te
from weft.compiler.cpu.emit import emit
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.isa import WeftError


def product(n: int, depth: int, tile: int, init=0):
    """y[i, o] = relu of sums of bytes, the sums in registers; a tail where the tile does not divide n."""
    x = te.placeholder("x", {"i": n, "k": depth, "b": 4}, "uint8", 0)
    w = te.placeholder("w", {"k": depth, "o": 16, "b": 4}, "int8", 0)
    k, b = te.reduce_axis("k", depth), te.reduce_axis("b", 4)
    sums = te.compute("sums", {"i": n, "o": 16},
                      lambda i, o: te.sum(x[i, k, b].astype("int32") * w[k, o, b].astype("int32"), [k, b], init), 0)
    y = te.compute("y", {"i": n, "o": 16}, lambda i, o: np.maximum(sums[i, o], 0), 0)
    s = Schedule(y)
    s[sums].set_scope("reg")
    i, o = s[y].leaves
    outer, inner = s[y].split(i, tile)
    s[y].parallel(outer)
    s[y].unroll(inner)
    s[y].vectorise(o)
    s[sums].compute_at(s[y], outer)
    i, o, k, b = s[sums].leaves
    s[sums].reorder(k, i, o, b)
    s[sums].unroll(i)
    s[sums].tensorize(o, "dot4")
    return lower(s, "product", {"x": x, "w": w, "y": y})


@each_form
@pytest.mark.parametrize("n, tile", [(1, 1), (8, 4), (7, 3), (5, 8)])
def test_sums_of_four_in_registers(form, n, tile):
    rng = np.random.default_rng(n)
    arrays = {"x": random(rng, "uint8", n * 12), "w": random(rng, "int8", 3 * 64), "y": np.zeros(16 * n, np.int32)}
    arrays["x"][:4], arrays["w"][:64] = 255, -128
    agree(product(n, 3, tile, 1), form, arrays, -(-n // tile), 2)


def code(y, arguments):
    emit(lower(y if isinstance(y, Schedule) else Schedule(y), "wrong", arguments), "wrong", FORMS[-1], ir.Module("m"))


def test_what_is_no_sum_of_four_products():
    x = te.placeholder("x", {"i": 8, "j": 6}, "float32", 0)
    y = te.compute("y", {"i": 8, "j": 6}, lambda i, j: x[i, j] + 1.0, 0)
    s = Schedule(y)
    s[y].tensorize(s[y].leaves[1], "dot4")
    with pytest.raises(WeftError) as error:
        code(s, {"x": x, "y": y})
    assert str(error.value) == ("loop j: dot4 is a loop over lanes of sums of four products of uint8 and int8, but found "
                                "y[i, j] = (x[i, j] + 1.0); try: reorder, or a reduction axis of 4")


@each_form
def test_a_product_of_bytes_reads_four_in_a_row(form):
    with pytest.raises(WeftError) as error:
        x = te.placeholder("x", {"k": 4, "i": 1}, "uint8", 0)
        w = te.placeholder("w", {"k": 4, "o": 16}, "int8", 0)
        r, k = te.reduce_axis("r", 1), te.reduce_axis("k", 4)
        y = te.compute("y", {"o": 16}, lambda o: te.sum(x[k, r].astype("int32") * w[k, o].astype("int32"), [r, k]), 0)
        s = Schedule(y)
        o, r, k = s[y].leaves
        s[y].reorder(r, o, k)
        s[y].tensorize(o, "dot4")
        code(s, {"x": x, "w": w, "y": y})
    assert str(error.value) == ("loop o: dot4 reads four neighbouring bytes, and lanes the same or the next four, but "
                                "found w[k, o]; "
                                "try: weights packed by four")
