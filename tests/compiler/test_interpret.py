"""The interpreter: the fast way equals turn by turn, and its arithmetic is the machine's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.compiler import interpret
from weft.compiler.expr import Const, Load, Select, Var, as_expr, binary, call
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Store
from weft.isa.quantise import pack_lanes, requantise, unpack_lanes

I, J, K = Var("i"), Var("j"), Var("k")


def loops(body, *pairs):
    for variable, extent in reversed(pairs):
        body = For(variable, as_expr(extent), body)
    return body


def wrap(value: int) -> int:
    return (int(value) + 2**31) % 2**32 - 2**31


def run(body, **arrays):
    buffers = {name: b for name, b in arrays.items() if isinstance(b, tuple)}
    data = {name: array.copy() for name, (_, array) in buffers.items()}
    interpret.run(LoopProgram("test", {name: b for name, (b, _) in buffers.items()}, body), data)
    return data


def buffer(name, array, dtype="int32"):
    return Buffer(name, array.shape, dtype, "dram", 1)


@settings(max_examples=60)
@given(st.sampled_from(["add", "max", "min", "mul"]), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3), st.data())
def test_at_once_equals_turn_by_turn(op, row, column, shift, data):
    """b[..] = op(b[..], a[..]) with indices that may meet themselves: later turns see what earlier ones wrote."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a, b = rng.integers(-9, 9, (20,)).astype(np.int32), rng.integers(-9, 9, (20,)).astype(np.int32)
    ba, bb = buffer("a", a), buffer("b", b)
    target = binary("add", binary("add", I * row, J * column), shift)
    source = data.draw(st.sampled_from([Load(ba, (I * 3 + J + K,)), Load(bb, (I + J + K,))]))
    body = loops(Store(bb, (target,), binary(op, Load(bb, (target,)), source)), (I, 3), (J, 3), (K, 2))
    slow = b.astype(object)
    for i in range(3):
        for j in range(3):
            for k in range(2):
                at = i * row + j * column + shift
                value = (int(a[i * 3 + j + k]) if source.buffer is ba else slow[i + j + k])
                slow[at] = wrap({"add": slow[at] + value, "max": max(slow[at], value), "min": min(slow[at], value),
                                     "mul": slow[at] * value}[op])
    assert np.array_equal(run(body, a=(ba, a), b=(bb, b))["b"], slow.astype(np.int32))


def test_tails_and_empty_loops():
    b = np.zeros(10, np.int32)
    bb = buffer("b", b)
    at = I * 4 + J
    body = loops(Store(bb, (at,), Load(bb, (at,)) + 1), (I, 4), (J, binary("min", 4, 10 - I * 4)))
    assert run(body, b=(bb, b))["b"].tolist() == [1] * 10


def test_int32_wraps_and_int8_keeps_low_bits():
    x = np.array([2**31 - 1, 300, -300], np.int32)
    y = np.zeros(3, np.int8)
    bx, by = buffer("x", x), buffer("y", y, "int8")
    body = loops(Store(by, (I,), (Load(bx, (I,)) + 2).astype("int8")), (I, 3))
    assert run(body, x=(bx, x), y=(by, y))["y"].tolist() == [1, 46, -42]


def test_requantisation_is_the_isa_s():
    rng = np.random.default_rng(0)
    x = rng.integers(-10**6, 10**6, 8).astype(np.int32)
    lanes = pack_lanes(rng.integers(-99, 99, 8), rng.integers(1, 1 << 17, 8), 22, 3, -100, 90, rng.integers(0, 3, 8))
    bx, bq, by = buffer("x", x), Buffer("q", (8,), "qnt", "dram", 1), buffer("y", x)
    body = loops(Store(by, (I,), Load(bq, (I,)).requantise(Load(bx, (I,)))), (I, 8))
    result = run(body, x=(bx, x), q=(bq, lanes), y=(by, x * 0))["y"]
    assert np.array_equal(result, requantise(x, **unpack_lanes(lanes)))


def test_the_arm_not_taken_is_not_read():
    x, y = np.arange(4, dtype=np.int32), np.zeros(8, np.int32)
    bx, by = buffer("x", x), buffer("y", y)
    inside = (I - 2).ge(0) & (I - 2).lt(4)
    body = loops(Store(by, (I,), Select(inside, Load(bx, (I - 2,)), Const(7, "int32"))), (I, 8))
    assert run(body, x=(bx, x), y=(by, y))["y"].tolist() == [7, 7, 0, 1, 2, 3, 7, 7]


@pytest.mark.parametrize("extent, message", [(5, "x: index 0 to 4 on axis 0 of 4")])
def test_leaving_a_buffer_is_an_error(extent, message):
    x, y = np.arange(4, dtype=np.int32), np.zeros(8, np.int32)
    bx, by = buffer("x", x), buffer("y", y)
    with pytest.raises(IndexError) as error:
        run(loops(Store(by, (I,), Load(bx, (I,))), (I, extent)), x=(bx, x), y=(by, y))
    assert str(error.value) == message


def test_what_was_not_written_is_a_pattern():
    y = np.zeros(2, np.int32)
    by, scratch = buffer("y", y), Buffer("s", (2,), "int32", "acc", 1)
    body = Alloc(scratch, Seq([loops(Store(by, (I,), Load(scratch, (I,))), (I, 2))]))
    assert run(body, y=(by, y))["y"].tolist() == [0x5A5A5A5A] * 2


def test_arrays_must_fit_the_arguments():
    y = np.zeros(2, np.int8)
    with pytest.raises(ValueError) as error:
        run(Seq([]), y=(buffer("y", np.zeros(2, np.int32)), y))
    assert str(error.value) == "y must be int32 of shape (2,), not int8 of (2,)"


def test_memory_with_strides_and_a_border():
    """y[i, j] = x[i - 1, j] where x is a view whose columns lie one after the other, with a row of memory above."""
    x = np.arange(1 + 3 + 2 * 4, dtype=np.float32)
    bx, by = Buffer("x", (3, 3), "float32", strides=(1, 4), low=(1, 0)), Buffer("y", (3, 3), "float32", element_rank=0)
    body = loops(Store(by, (I, J), Load(bx, (I - 1, J))), (I, 3), (J, 3))
    y = run(body, x=(bx, x), y=(by, np.zeros(9, np.float32)))["y"]
    assert y.reshape(3, 3).tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10]]
    with pytest.raises(IndexError) as error:
        run(loops(Store(by, (I, Const(0)), Load(bx, (I - 2, Const(0)))), (I, 3)), x=(bx, x), y=(by, np.zeros(9, np.float32)))
    assert str(error.value) == "x: index -2 to 0 on axis 0 of 3"
    with pytest.raises(ValueError) as error:
        run(body, x=(bx, x[1:]), y=(by, np.zeros(9, np.float32)))
    assert str(error.value) == "x must be float32 of 12 values, not float32 of 11"


@given(st.integers(-2**31, 2**31 - 1), st.integers(-2**17, 2**17 - 1), st.integers(0, 47), st.sampled_from((0, 1, 2)),
       st.integers(-128, 127))
def test_the_call_requantise_is_the_definition(acc, multiplier, shift, rounding, zero_point):
    attrs = dict(rounding=rounding, zero_point=zero_point, minimum=-100, maximum=90)
    result = interpret.CALLS["requantise"](np.int32(acc), multiplier / 2.0**shift, **attrs)
    assert result == requantise(acc, 0, multiplier, shift, **attrs)


@pytest.mark.parametrize("value, to, result", [(Const(200, "uint8"), "int32", 200), (Const(-3.7, "float32"), "int32", -3),
                                               (Const(300, "int32"), "uint8", 44), (Const(7, "int32"), "float64", 7.0)])
def test_casts(value, to, result):
    target = Buffer("y", (1,), to, element_rank=0)
    out = run(Store(target, (Const(0),), value.astype(to)), y=(target, np.zeros(1, to)))["y"]
    assert out.tolist() == [result]


def test_functions_of_floats_are_rounded_once():
    target = Buffer("y", (1,), "float32", element_rank=0)
    for name, argument, expected in (("exp", 1.0, np.e), ("erf", 0.5, 0.5204998778), ("rsqrt", 4.0, 0.5),
                                     ("round", 2.5, 2.0)):
        out = run(Store(target, (Const(0),), call(name, Const(argument, "float32"))),
                  y=(target, np.zeros(1, np.float32)))["y"]
        assert out[0] == np.float32(expected)
