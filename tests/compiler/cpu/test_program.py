import dataclasses
import re

import numpy as np
import pytest

from tests.compiler.cpu.test_plan import relus
from weft.compiler import pipeline, reference
from weft.compiler.graph import Graph, Node, TensorType
from weft.isa import DEFAULT, WeftError
from weft.llvm import machine
from weft.runtime import module as modules
from weft.runtime import trace
from weft.runtime.executor import Executor
from weft.runtime.function import Function
from weft.runtime.validate import validate


def branches() -> Graph:
    """Three outputs of two inputs; one is read inside too. Shapes broadcast."""
    graph = Graph("branches", inputs=["x", "y"], outputs=["a", "c", "d"])
    graph.tensors = {name: TensorType((2, 3, 5, 7), "float32") for name in "xabcd"} | {"y": TensorType((1, 3, 1, 1), "float32")}
    two = graph.add_constant("two", np.full((1,), 2, np.float32))
    graph.nodes = [Node("a", "Relu", ["x"], ["a"]), Node("b", "Add", ["a", "y"], ["b"]), Node("c", "Mul", ["b", two], ["c"]),
                   Node("d", "Sub", ["c", "x"], ["d"])]
    return placed(graph)


def placed(graph: Graph) -> Graph:
    """The same on the CPU as it stands."""
    graph.nodes = [dataclasses.replace(node, where="cpu") for node in graph.nodes]
    return graph


def values(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(graph.tensors[name].shape).astype(np.float32) for name in graph.inputs}


@pytest.fixture(scope="module")
def compiled():
    return pipeline.build(branches(), DEFAULT)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("form", [form.name for form in machine.host_forms()])
def test_every_form_gives_what_the_reference_gives(compiled, form, threads):
    module = modules.from_bytes(modules.to_bytes(compiled))
    module.code = {form: module.code[form]}
    given = values(branches())
    outputs, report = module.run(*given.values(), threads=threads)
    assert report.agrees and report.difference < 1e-6 and report.device == "cpu" and report.cycles is None
    for name, expected in reference.run(branches(), given).items():
        assert outputs[name].dtype == expected.dtype and np.allclose(outputs[name], expected, rtol=1e-6, atol=1e-6)


def test_layers_share_the_functions_time(compiled):
    _, report = compiled.run(*values(branches()).values())
    assert [(layer.name, layer.where) for layer in report.layers] == [(name, "cpu") for name in "abcd"]
    assert all(layer.seconds >= 0 for layer in report.layers) and sum(layer.seconds for layer in report.layers) <= report.seconds


def test_a_function_is_called_and_called_again(compiled):
    main = compiled["main"]
    for seed in range(3):
        given = values(branches(), seed)
        expected = reference.run(branches(), given)
        found = main(*given.values())
        assert [np.allclose(y, expected[name], atol=1e-6) for y, name in zip(found, "acd")] == [True] * 3
    assert np.allclose(Function(compiled, threads=2)(*given.values())[1], expected["c"], atol=1e-6)


def test_results_that_are_held_stay_as_they_are(compiled):
    main, kept = compiled["main"], []
    for seed in range(4):
        given = values(branches(), seed)
        a, c, _ = main(*given.values())
        kept.append((a[1:, ::2], memoryview(c), reference.run(branches(), given)))  # views of them hold them too
        del a, c
    for a, c, expected in kept:
        assert np.array_equal(a, expected["a"][1:, ::2]) and np.allclose(np.asarray(c), expected["c"], atol=1e-6)
    places = {main(*given.values())[0].ctypes.data for _ in range(5)}
    assert len(places) == 1  # nobody held them


def test_one_output_comes_without_a_tuple():
    graph = relus(2)
    x = values(graph)["t0"]
    assert np.array_equal(pipeline.compile(graph, DEFAULT, target="cpu", cpu="native")["main"](x), np.maximum(x, 0))


def test_there_is_no_other_function(compiled):
    with pytest.raises(WeftError, match="^" + re.escape("module 'branches': its functions are 'main', but found 'side'; try: module[\"main\"](x)") + "$"):
        compiled["side"]


def test_equal_kernels_are_one():
    module = pipeline.build(relus(6, op="Tanh"), DEFAULT, forms=[machine.choose()])
    (files,) = module.code.values()
    assert len(files) == 2  # one of the kernels' and the network function
    assert len(module.functions[0].layers) == 6


def test_a_modules_file_holds_weights_once(tmp_path):
    graph = Graph("conv", inputs=["x"], outputs=["y"])
    graph.tensors = {"x": TensorType((1, 40, 8, 8), "float32"), "y": TensorType((1, 30, 6, 6), "float32")}
    w = graph.add_constant("w", np.random.default_rng(1).standard_normal((30, 40, 3, 3)).astype(np.float32))
    graph.nodes = [Node("c", "Conv", ["x", w], ["y"], {"pads": (0, 0, 0, 0)})]
    made = pipeline.compile(graph, DEFAULT, target="cpu", cpu="native")
    made.save(tmp_path / "conv.weft")
    again = modules.Module.load(tmp_path / "conv.weft")
    assert set(made.stored) == {"w"} and np.array_equal(again.constants["w"], graph.constants["w"])
    assert again.run(*values(graph).values())[1].agrees
    assert (tmp_path / "conv.weft").stat().st_size < 1.8 * graph.constants["w"].nbytes


def test_a_module_is_validated_and_has_no_timeline(compiled, tmp_path):
    assert validate(compiled, 2) == []
    changed = modules.from_bytes(modules.to_bytes(compiled))
    changed.operators[3] = dataclasses.replace(changed.operators[3], op="Add")
    assert [finding.level for finding in validate(changed, 1)] == ["error"]
    _, report = compiled.run(*values(branches()).values())
    with pytest.raises(WeftError, match="^" + re.escape(
            "trace of 'branches': a timeline shows launches of the accelerator, but found a network that has none; "
            "try: `weft report FILE.weft -o page.html`: seconds by layer") + "$"):
        trace.write(tmp_path / "t.json", compiled, report)


def test_code_for_other_machines_is_refused(compiled):
    module = modules.from_bytes(modules.to_bytes(compiled))
    module.code = {"armv9": module.code["plain"]}
    able = ", ".join(form.name for form in machine.host_forms())
    with pytest.raises(WeftError, match="^" + re.escape(
            f"module 'branches': it must have code of a form that this CPU can run: {able}, but found armv9; "
            "try: to compile it here, or with `--cpu x86-64`") + "$"):
        module["main"](*values(branches()).values())


def test_a_function_without_code_is_refused(compiled):
    module = modules.from_bytes(modules.to_bytes(compiled))
    module.functions = [dataclasses.replace(module.functions[0], symbol="weft_other")]
    with pytest.raises(WeftError, match="^module 'branches': its code must define 'weft_other', but found no such symbol; try: compile the model again$"):
        Executor(module, None)


def test_a_machine_without_the_features_of_native_code_refuses_it(compiled, monkeypatch):
    module = pipeline.build(branches(), DEFAULT, forms=[machine.choose()])
    best = machine.choose()
    monkeypatch.setattr(machine, "host_features", lambda: {feature: feature not in best.features[1:] for feature in best.features})
    if machine.host_forms() and machine.host_forms()[0] == best:
        pytest.skip("this machine has but one form")
    with pytest.raises(WeftError, match=f"but found {best.name}; try: to compile it here"):
        Executor(module, None)


def test_launches_need_a_device(compiled):
    module = modules.from_bytes(modules.to_bytes(compiled))
    module.launches = [modules.Launch((0,), 0, 1, np.zeros(1, np.int32))]
    with pytest.raises(WeftError, match="^module 'branches': its launches need a device, but found none; try: a device, by name or open$"):
        Executor(module, None)


def test_progress_tells_of_each_operator():
    told = []
    pipeline.build(branches(), DEFAULT, forms=[machine.choose()], progress=lambda done, total, name: told.append((done, total, name)))
    assert told[:4] == [(k, 5, name) for k, name in enumerate("abcd")] and told[-1] == (5, 5, "")
