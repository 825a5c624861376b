"""A CPU's loops over threads: the outermost that do not depend on one another."""

import numpy as np

from weft.compiler import interpret, te
from weft.compiler.gpu import lockstep
from weft.compiler.gpu.spread import spread
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule


def points(rows=5, columns=33):
    x = te.placeholder("x", {"i": rows, "j": columns}, "int32", 0)
    y = te.compute("y", {"i": rows, "j": columns}, lambda i, j: x[i, j] * 3, 0)
    s = Schedule(y)
    s[y].parallel(y.axes[0])
    return lower(s, "points", {"x": x, "y": y}), (rows, columns), (rows, columns)


def sums():
    x, k = te.placeholder("x", {"i": 7, "k": 9}, "int32", 0), te.reduce_axis("k", 9)
    total = te.compute("total", {"i": 7}, lambda i: te.sum(x[i, k], [k]), 0)
    y = te.compute("y", {"i": 7, "j": 2}, lambda i, j: total[i] + x[i, j], 0)
    s = Schedule(y)
    s[y].parallel(y.axes[0])
    s[total].set_scope("reg")
    s[total].compute_at(s[y], y.axes[0])
    return lower(s, "sums", {"x": x, "y": y}), (7, 9), (7, 2)


def test_every_loop_of_a_kernel_of_points_is_spread():
    program, _, _ = points()
    assert str(spread(program)).splitlines()[1:] == [
        "  blockIdx.x block in range(2):",
        "    threadIdx.x thread in range(min(128, (165 - (block * 128)))):",
        "      y[(((block * 128) + thread) // 33), (((block * 128) + thread) % 33)] = "
        "(x[(((block * 128) + thread) // 33), (((block * 128) + thread) % 33)] * 3)"]


def test_sums_stay_with_their_thread():
    program, _, _ = sums()
    text = str(spread(program)).splitlines()
    assert text[1:3] == ["  blockIdx.x block in range(1):", "    threadIdx.x thread in range(7):"] and "      for k in range(9):" in text


def test_the_meaning_stays():
    for program, given, made in (points(), points(1, 1), points(128, 2), sums()):
        x = np.random.default_rng(0).integers(-99, 99, given).astype(np.int32)
        expected, found = np.zeros(made, np.int32), np.zeros(made, np.int32)
        interpret.run(program, {"x": x, "y": expected})
        lockstep.run(spread(program), {"x": x, "y": found})
        assert np.array_equal(found, expected)
