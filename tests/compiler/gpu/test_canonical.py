"""Programs are the same whatever their variables are called, and differ in everything else."""

from dataclasses import replace

from weft.compiler.expr import Const, Load, Var, binary
from weft.compiler.gpu.canonical import canonical
from weft.compiler.stmt import Buffer, For, LoopProgram, Store


def transposed(names="ij", strides=(), factor=2, kind="serial", order=(0, 1)):
    x, y = Buffer("x", (4, 4), "int32", "dram", 0, strides=strides), Buffer("y", (4, 4), "int32", "dram", 0)
    i, j = (Var(name) for name in names)
    at = (i, j)
    value = binary("mul", Load(x, (j, i)), Const(factor, "int32"))
    body = For(at[order[0]], Const(4), For(at[order[1]], Const(4), Store(y, (i, j), value)), kind)
    return LoopProgram("t", {"x": x, "y": y}, body)


def test_names_do_not_count():
    one = transposed()
    assert canonical(one) == canonical(transposed("ab")) == canonical(transposed("aa")) == canonical(replace(one, name="other"))


def test_all_else_does():
    others = [transposed(strides=(8, 1)), transposed(factor=3), transposed(kind="threadIdx.x"), transposed(order=(1, 0))]
    assert len({canonical(transposed()), *map(canonical, others)}) == 5
