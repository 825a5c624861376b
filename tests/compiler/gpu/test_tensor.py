"""Tensor instructions: the schedule's nests become dp4a and mma, with the same result; other nests are refused."""

import re

import numpy as np
import pytest

from tests.compiler.gpu import ptx_machine
from weft.compiler import te
from weft.compiler.gpu import barriers, lockstep
from weft.compiler.gpu.emit import emit
from weft.compiler.gpu.ptx import ptx
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.isa import WeftError


def dot(instruction="dp4a", depth=4, dtypes=("int8", "int8"), turned=False, change=lambda x: x):
    """y[i, j] = sum over k of x[i, k] * w[j, k], a thread for each (i, j)."""
    x = te.placeholder("x", {"i": 3, "k": 16} if not turned else {"k": 16, "i": 3}, dtypes[0], 0)
    w, k = te.placeholder("w", {"j": 5, "k": 16}, dtypes[1], 0), te.reduce_axis("k", 16)
    at = lambda i: x[k, i] if turned else x[i, k]  # noqa: E731
    sums = te.compute("sums", {"i": 3, "j": 5}, lambda i, j: te.sum(change(at(i).astype("int32") * w[j, k].astype("int32")), [k]), 0)
    y = te.compute("y", {"i": 3, "j": 5}, lambda i, j: sums[i, j] + 1, 0)
    s = Schedule(y)
    s[y].bind(y.axes[0], "threadIdx.y")
    s[y].bind(y.axes[1], "threadIdx.x")
    s[sums].set_scope("reg")
    s[sums].compute_at(s[y], y.axes[1])
    _, inner = s[sums].split(k, depth)
    s[sums].tensorize(inner, instruction)
    return lower(s, "dot", {"x": x, "w": w, "y": y})


@pytest.mark.parametrize("dtypes", [("int8", "int8"), ("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8")])
def test_dp4a_adds_four_products(dtypes):
    program, rng = dot(dtypes=dtypes), np.random.default_rng(0)
    x, w = (rng.integers(np.iinfo(d).min, np.iinfo(d).max + 1, (n, 16)).astype(d) for n, d in zip((3, 5), dtypes))
    expected, found = x.astype(np.int32) @ w.astype(np.int32).T + 1, np.zeros((3, 5), np.int32)
    lockstep.run(program, {"x": x, "w": w, "y": found})
    assert np.array_equal(found, expected)
    text = ptx(emit(program, "dot"))
    assert len(re.findall(r"\tdp4a\.", text)) == 4
    memory = np.zeros(4096, np.uint8)
    memory[0:48], memory[1024:1104] = x.view(np.uint8).reshape(-1), w.view(np.uint8).reshape(-1)
    ptx_machine.launch(ptx_machine.parse(text)["dot"], (1, 1, 1), memory, [ptx_machine.GLOBAL + at for at in (0, 1024, 2048)])
    assert np.array_equal(memory[2048:2108].view(np.int32).reshape(3, 5), expected)


REFUSED = [
    (dot(depth=8), "loop 'k_i': the nest of dp4a is a sum of products of bytes, but found loops that are not one over 4 values that lie one "
                   "after the other; try: acc[..] += int32(a[..]) * int32(b[..])"),
    (dot(turned=True), "loop 'k_i': the nest of dp4a is a sum of products of bytes, but found loops that are not one over 4 values that lie "
                       "one after the other; try: acc[..] += int32(a[..]) * int32(b[..])"),
    (dot(change=lambda x: x + 1), "loop 'k_i': the nest of dp4a is a sum of products of bytes, but found sums[..] = (sums[0, 0] + "
                                  "((int32(x[i, ((k_o * 4) + k_i)]) * int32(w[j, ((k_o * 4) + k_i)])) + 1)); try: acc[..] += int32(a[..]) * int32(b[..])"),
    (dot("mma"), "loop 'k_i': the nest of mma is a sum of products of bytes, but found loops of [4] turns in blocks of (5, 3, 1) threads; "
                 "try: acc[..] += int32(a[..]) * int32(b[..])"),
]


@pytest.mark.parametrize("program, message", REFUSED)
def test_other_nests_are_refused(program, message):
    with pytest.raises(WeftError) as error:
        emit(barriers.derive(program), "dot")
    assert str(error.value) == message
