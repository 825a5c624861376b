"""Matching nests with tensor instructions: what matches, what is refused and in which words."""

import pytest

from tests.compiler.programs import const, element_nest, loops
from weft.compiler.expr import Binary, Cast, Const, Load, Select, Var, binary
from weft.compiler.passes import TensorInstr
from weft.compiler.passes.tensorize import tensorize
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Store
from weft.isa import DEFAULT, PRESETS, WeftError

ACC = Buffer("acc", (4, 6, 1, 16), "int32", "acc")
INP = Buffer("inp", (9, 9, 1, 16), "int8", "inp")
WGT = Buffer("wgt", (3, 3, 16, 16), "int8", "wgt")
QNT = Buffer("qnt", (4, 16), "qnt", "qnt", 1)
DRAM = Buffer("x", (9, 9, 1, 16), "int8")
GEMM_AXES = [("kh", 3), ("kw", 3), ("oh", 4), ("ow", 6), ("n", 1), ("co", 16), ("ci", 16)]


def widened(buffer, *indices):
    return Cast("int32", Load(buffer, indices))


def gemm(kh, kw, oh, ow, n, co, ci):
    product = widened(INP, oh + kh, ow + kw, n, ci) * widened(WGT, kh, kw, co, ci)
    return Store(ACC, (oh, ow, n, co), Load(ACC, (oh, ow, n, co)) + product)


def tensorized(stmt, config=DEFAULT):
    return tensorize(LoopProgram("test", {"x": DRAM}, stmt), config).body


def test_a_convolution_is_one_leaf():
    leaf = tensorized(loops(GEMM_AXES, gemm, mark="gemm"))
    assert str(leaf) == ("gemm(acc=acc[oh, ow], inp=inp[(oh + kh), (ow + kw)], wgt=wgt[kh, kw]) "
                         "for kh in range(3) for kw in range(3) for oh in range(4) for ow in range(6)")


def test_the_meaning_is_what_was_replaced():
    nest = loops(GEMM_AXES, gemm)
    assert tensorized(nest).meaning is nest


def test_sums_and_products_match_either_way_round():
    def turned(kh, kw, oh, ow, n, co, ci):
        product = widened(WGT, kh, kw, co, ci) * widened(INP, oh + kh, ow + kw, n, ci)
        return Store(ACC, (oh, ow, n, co), product + Load(ACC, (oh, ow, n, co)))

    assert tensorized(loops(GEMM_AXES, turned)).intrinsic.name == "gemm"


@pytest.mark.parametrize("value, name", [
    (lambda x, q: const(0), "reset"),
    (lambda x, q: binary("max", x, 5), "max imm"),
    (lambda x, q: binary("max", const(5), x), "max imm"),
    (lambda x, q: x + x, "add"),
    (lambda x, q: x.shift_right(const(3)), "shr imm"),
    (lambda x, q: q.requantise(x), "requant"),
], ids=("reset", "max imm", "imm max", "add", "shr imm", "requant"))
def test_alu_forms(value, name):
    nest = element_nest(DEFAULT, [("h", 4), ("w", 6)], lambda h, w, n, c: Store(
        ACC, (h, w, n, c), value(Load(ACC, (h, w, n, c)), Load(QNT, (h, c)))))
    assert tensorized(nest).intrinsic.name == name


def test_padding_becomes_conditions():
    def padded(h, w, n, c):
        row, column = h - 1, w - 2
        inside = row.ge(0) & row.lt(9) & column.ge(0)
        return Store(INP, (h, w, n, c), Select(inside, Load(DRAM, (row, column, n, c)), Const(-7, "int8")))

    leaf = tensorized(element_nest(DEFAULT, [("h", 9), ("w", 9)], padded, mark="load"))
    assert str(leaf) == ("load inp(sram=inp[h, w], dram=x[(h - 1), (w - 2)], pad=-7) for h in range(9) for w in range(9) "
                         "inside (h - 1) >= 0 and ((9 - (h - 1)) - 1) >= 0 and (w - 2) >= 0")


def test_loops_on_which_others_depend_stay_outside():
    def tail(o):
        return loops([("i", binary("min", Const(2), 4 - o * 3)), ("n", 1), ("c", 16)],
                     lambda i, n, c: Store(ACC, (o * 3 + i, 0 * o, n, c), const(0)))

    nest = loops([("o", 2)], tail)
    body = tensorized(nest)
    assert isinstance(body, For) and isinstance(body.body, TensorInstr) and len(body.body.loops) == 1


def test_a_condition_on_two_loops_leaves_one_outside():
    def padded(a, b, n, c):
        return Store(INP, (a, b, n, c), Select((a + b).lt(9), Load(DRAM, (a, b, n, c)), Const(0, "int8")))

    body = tensorized(element_nest(DEFAULT, [("a", 9), ("b", 9)], padded))
    assert isinstance(body, For) and [loop.var.name for loop in body.body.loops] == ["b"]


def test_the_tree_around_stays():
    nest = element_nest(DEFAULT, [("h", 4), ("w", 6)], lambda h, w, n, c: Store(ACC, (h, w, n, c), const(0)))
    body = tensorized(Alloc(ACC, Seq([nest, For(Var("t"), Const(2), nest, "vthread")])))
    assert isinstance(body, Alloc) and isinstance(body.body.body[0], TensorInstr)
    assert body.body.body[1].kind == "vthread" and isinstance(body.body.body[1].body, TensorInstr)


def refusal(stmt, config=DEFAULT) -> str:
    with pytest.raises(WeftError) as error:
        tensorized(stmt, config)
    return str(error.value)


def test_a_mark_that_does_not_hold_says_what_differs():
    axes = [*GEMM_AXES[:-1], ("ci", 8)]
    assert refusal(loops(axes, gemm, mark="gemm")) == (
        "program 'test', statement 'acc[oh, ow, n, co] = (acc[oh, ow, n, co] + (int32(inp[(oh + kh), (ow + kw), n, ci]) * "
        "int32(wgt[kh, kw, co, ci])))': a statement must equal the instruction 'gemm' that it is marked with, but found "
        "that it differs; nearest is 'gemm': the loop over 'ci' has 16 turns, not 8; try: a schedule that gives the form "
        "gemm: for n in 1: for c in 16: for ci in 16: acc[n, c] = (acc[n, c] + (int32(inp[n, ci]) * int32(wgt[c, ci])))")


@pytest.mark.parametrize("value, why", [
    (lambda x: Binary("sub", x, const(1)), "it does 'add', not (acc[h, w, n, c] - 1)"),
    (lambda x: x + 40000, "a constant must be from -32768 to 32767, not 40000"),
    (lambda x: Load(ACC, (Var("h"), Var("w"), Var("n"), Var("c"))) * x * 3, "it reads an element of acc"),
], ids=("no operation", "constant too large", "two operations"))
def test_what_no_instruction_does_is_named(value, why):
    nest = element_nest(DEFAULT, [("h", 4), ("w", 6)], lambda h, w, n, c: Store(
        ACC, (h, w, n, c), value(Load(ACC, (h, w, n, c)))))
    text = refusal(nest)
    assert "a statement must equal one of the tensor instructions, but found that it differs" in text and why in text


def test_element_loops_belong_innermost():
    nest = loops([("n", 1), ("c", 16), ("h", 4), ("w", 6)], lambda n, c, h, w: Store(ACC, (h, w, n, c), const(0)))
    assert "the innermost loops are those over an element (n, c), not h, w" in refusal(nest)


def test_lanes_may_not_be_mixed():
    nest = element_nest(DEFAULT, [("h", 4)], lambda h, n, c: Store(ACC, (h, c, n, c), const(0)))
    assert "'c' must be the same for all lanes of an element" in refusal(nest)


def test_indices_must_be_sums():
    nest = element_nest(DEFAULT, [("h", 4)], lambda h, n, c: Store(ACC, (h // 2, h % 2, n, c), const(0)))
    assert "indices are sums of variables times constants, not (h // 2)" in refusal(nest)


def test_an_element_of_another_machine_is_refused():
    nest = element_nest(DEFAULT, [("h", 4), ("w", 6)], lambda h, w, n, c: Store(ACC, (h, w, n, c), const(0)))
    assert "an element of 'acc' has shape [1, 8], not [1, 16] of acc" in refusal(nest, PRESETS["1x8x8"])


ROWS = [("kh", 3), ("oh", 4), ("ow", 6), ("n", 1), ("c", 16), ("t", 3)]


def rows(stride=1, window=1, row=0):
    def nest(kh, oh, ow, n, c, t):
        product = widened(INP, oh + kh + t * row, ow * stride + t * window, n, c) * widened(WGT, kh, Const(0), c, t)
        return Store(ACC, (oh, ow, n, c), Load(ACC, (oh, ow, n, c)) + product)

    return nest


def test_a_sum_over_neighbouring_elements_is_a_depthwise_row():
    leaf = tensorized(loops(ROWS, rows()))
    assert str(leaf) == ("depthwise(acc=acc[oh, ow], wgt=wgt[kh, 0], inp=inp[(oh + kh), ow], taps=3) "
                         "for kh in range(3) for oh in range(4) for ow in range(6)")


@pytest.mark.parametrize("window, row, apart", [(2, 0, 2), (0, 1, 9), (1, 1, 10), (0, 0, 0)])
def test_a_window_is_of_neighbours(window, row, apart):
    assert f"its window is of neighbouring elements of inp, not of elements {apart} apart" in \
        refusal(loops(ROWS, rows(window=window, row=row), mark="depthwise"))


def test_a_window_has_an_end():
    assert "taps=16" in str(tensorized(loops([*ROWS[:-1], ("t", 16)], rows())))
    inner = loops([*ROWS[:-1], ("t", 17)], rows(), mark="depthwise")
    assert "the turns of 'taps' are a constant from 1 to 16, not 17" in refusal(inner)
