"""Expressions as machine code against the interpreter, in each form that this CPU can run."""

import numpy as np
import pytest

from tests.compiler.cpu.programs import agree, each_form, random
from weft.compiler import te
from weft.compiler.expr import Select, call
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule


def flat(define, dtypes, n, axis=16, kinds=("vectorise",)):
    """A program of y[i] = define(x0[i], ..) with a loop split by `axis`; dtypes of the x."""
    xs = [te.placeholder(f"x{k}", {"i": n}, dtype, 0) for k, dtype in enumerate(dtypes)]
    y = te.compute("y", {"i": n}, lambda i: define(*(x[i] for x in xs)), 0)
    s = Schedule(y)
    outer, inner = s[y].split(s[y].leaves[0], axis)
    for kind in kinds:
        getattr(s[y], kind)(inner)
    s[y].parallel(outer)
    return lower(s, "flat", {**{x.name: x for x in xs}, "y": y}), -(-n // axis)


EXPRESSIONS = {
    "float32": (lambda a, b: a * b + a / (b * b + 1.0), ("float32", "float32")),
    "float64": (lambda a, b: (a - b) * 0.5, ("float64", "float64")),
    "relu": (lambda a: np.minimum(np.maximum(a, 0.0), 6.0), ("float32",)),
    "leaky": (lambda a: Select(a.lt(0.0), a * 0.125, a), ("float32",)),
    "int32 wraps": (lambda a, b: a * b - a, ("int32", "int32")),
    "bytes widen": (lambda a, b: a + b, ("uint8", "int8")),
    "bytes narrow": (lambda a: (a * 3 + 1).astype("uint8"), ("uint8",)),
    "bytes to float": (lambda a, b: a.astype("float32") * b.astype("float32"), ("uint8", "int8")),
    "float to bytes": (lambda a: np.minimum(np.maximum(a, -100.0), 100.0).astype("int8"), ("float32",)),
    "equal": (lambda a, b: Select(a.eq(b), a.astype("int32"), b + 1), ("int8", "int8")),
    "whole": (lambda a: call("floor", a) + call("round", a), ("float32",)),
    "root": (lambda a: call("sqrt", call("abs", a)), ("float32",)),
    "int64": (lambda a: a.astype("int64") * 3, ("int32",)),
    "division": (lambda a: a.astype("int32") // 3 + a.astype("int32") % 5, ("int8",)),
}


@each_form
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(form, name):
    define, dtypes = EXPRESSIONS[name]
    rng = np.random.default_rng(5)
    for n in (1, 16, 37):
        program, turns = flat(define, dtypes, n)
        arrays = {buffer.name: random(rng, buffer.dtype, n) for buffer in program.arguments.values()}
        agree(program, form, arrays, turns, 2, 4)


@each_form
def test_lanes_that_lie_apart_and_conditions_of_a_lane(form):
    x, table = te.placeholder("x", {"i": 20}, "uint8", 0), te.placeholder("table", {"t": 256}, "int8", 0)
    y = te.compute("y", {"i": 2, "j": 8}, lambda i, j: Select((i * 8 + j * 2).lt(20),
                                                              table[x[i * 8 + j * 2].astype("int32")], table[0]), 0)
    s = Schedule(y)
    s[y].vectorise(s[y].leaves[1])
    rng = np.random.default_rng(2)
    agree(lower(s, "t", {"x": x, "table": table, "y": y}), form,
          {"x": random(rng, "uint8", 20), "table": random(rng, "int8", 256), "y": np.zeros(16, np.int8)})
