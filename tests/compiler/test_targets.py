import re

import numpy as np
import pytest

from tests.conftest import ROOT
from weft.compiler import pipeline
from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.targets import DEFAULT, TARGETS, forms, parse
from weft.isa import DEFAULT as MACHINE
from weft.isa import WeftError
from weft.llvm import machine

DIGITS = ROOT / "examples" / "digits" / "digits_int8.onnx"


def test_lists_of_targets():
    assert parse(None) == parse(DEFAULT) == parse("accel, cpu") == ("accel", "cpu") and parse(("cpu",)) == ("cpu",)
    assert all(parse(",".join(target)) == target for target in TARGETS)


@pytest.mark.parametrize("text", ["tpu", "", "cpu,accel", "accel,,cpu"])
def test_targets_that_are_none(text):
    known = "; ".join(map(",".join, TARGETS))
    with pytest.raises(WeftError, match="^" + re.escape(f"target '{text}': a target is one of {known}, but found {text!r}; try: one of these") + "$"):
        parse(text)


def test_forms_of_an_architecture():
    assert [form.name for form in forms("x86-64")] == ["avx512vnni", "avx2", "plain"]
    assert [form.name for form in forms("aarch64")] == ["aarch64"]
    assert forms("native") == [machine.choose()] and forms() == forms(machine.choose().architecture)
    with pytest.raises(WeftError, match="^CPU 'z80': a CPU is one of native, x86-64, aarch64, armv7, riscv64, but found 'z80'; try: one of these$"):
        forms("z80")


@pytest.mark.parametrize("target, places", [("accel", {"accel", "host"}), ("accel,cpu", {"accel", "cpu"}), ("cpu", {"cpu"})])
def test_where_operators_run(target, places):
    assert {o.where for o in pipeline.place(DIGITS, MACHINE, target).operators} == places
    module = pipeline.compile(DIGITS, MACHINE, target=target, cpu="native")
    assert {o.where for o in module.operators} == places
    assert bool(module.launches) == ("accel" in places) and bool(module.functions) == bool(module.code) == ("cpu" in places)
    assert module.run(np.full((1, 1, 8, 8), 0.25, np.float32))[1].bit_exact


def test_what_the_cpu_cannot_do_stays_on_the_host_and_says_why():
    graph = Graph("g", inputs=["x"], outputs=["z"])
    graph.tensors = {name: TensorType((1, 3, 4, 4), "float64") for name in "xyz"}
    graph.nodes = [Node("a", "Relu", ["x"], ["y"]), Node("b", "Tanh", ["y"], ["z"])]
    module = pipeline.compile(graph, MACHINE, target="cpu")
    assert [(o.where, o.reason) for o in module.operators] == [
        ("host", "the CPU computes Clip in float32, not float64"), ("host", "the CPU computes Tanh in float32, not float64")]
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 4))
    assert module.run(x)[1].bit_exact and np.array_equal(module["main"](x), np.tanh(np.maximum(x, 0)))


def test_code_for_another_machine_is_made_and_not_run():
    module = pipeline.compile(DIGITS, MACHINE, target="cpu", cpu="riscv64")
    assert list(module.code) == ["riscv64"]
    with pytest.raises(WeftError, match="it must have code of a form that this CPU can run: .*, but found riscv64; try: to compile it here"):
        module.run(np.zeros((1, 1, 8, 8), np.float32))
