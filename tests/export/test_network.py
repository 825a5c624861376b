"""Networks as libraries for C: what they compute, what they say of themselves, and what they refuse."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import onnx
import pytest

import weft
from tests.export.c_device import CDevice
from tests.export.c_network import CNetwork
from tests.export.libraries import STRICT, device_library
from tests.random_networks import random_network
from weft.bench.qdq import QdqBuilder
from weft.compiler.pipeline import build
from weft.export import export_library
from weft.isa import DEFAULT, PRESETS, WeftError
from weft.llvm import machine, threads
from weft.runtime.module import CpuFunction, Module, Operator, TensorInfo


def inputs_of(module: Module, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, module.tensors[n].shape).astype(module.tensors[n].dtype) for n in module.inputs]


@pytest.mark.parametrize("config, seed", [(DEFAULT, 1), (DEFAULT, 9), (PRESETS["2x16x16"], 2)], ids=lambda v: getattr(v, "name", v))
def test_random_networks(config, seed, tmp_path):
    module = build(random_network(seed, config.batch), config)
    module.save(tmp_path / "net.weft")
    export_library(tmp_path / "net.weft", tmp_path / "net.so", cc=STRICT)
    device = CDevice(device_library(config), config, module.memory_size + 8192)
    network = CNetwork(tmp_path / "net.so", module, device, base=8192)
    assert network.status == 0
    for turn in range(2):
        x = inputs_of(module, turn)
        status, outputs = network.run(x)
        expected, _ = module.run(*x)
        assert status == 0 and all(np.array_equal(outputs[name], expected[name]) for name in module.outputs)
    network.close()
    device.close()


def test_launches_and_functions_take_turns(tmp_path):
    """Images that are transposed between two convolutions, and softmax behind them: two launches, three functions."""
    b = QdqBuilder("mixed", 0)
    first = b.conv(b.input((1, 3, 12, 10)), 20, 3)
    turned = replace(first, name=b._node("Transpose", [first.name], perm=[0, 1, 3, 2]), shape=(1, 20, 10, 12))
    last = b.conv(replace(turned, name=b._requantise(turned.name, turned.scale, turned.zero_point)), 17, 3)
    onnx.save(b.model(replace(last, name=b._node("Softmax", [last.name], axis=1))), tmp_path / "mixed.onnx")
    module = weft.compile(tmp_path / "mixed.onnx")
    assert [len(module.launches), len(module.functions)] == [2, 3]
    export_library(module, tmp_path / "net.so", cc=STRICT)
    device = CDevice(device_library(DEFAULT), DEFAULT, module.memory_size)
    for threads in (1, 2):
        network = CNetwork(tmp_path / "net.so", module, device, threads=threads)
        for seed in range(3):
            x = np.random.default_rng(seed).standard_normal((1, 3, 12, 10)).astype(np.float32)
            status, outputs = network.run([x])
            assert status == 0 and np.array_equal(next(iter(outputs.values())), module["main"](x))
        network.close()
    device.close()


def test_two_networks_on_one_device(tmp_path):
    modules = [build(random_network(seed, 1), DEFAULT) for seed in (3, 4)]
    device, base, networks = CDevice(device_library(DEFAULT), DEFAULT, 1 << 22), 0, []
    for k, module in enumerate(modules):
        export_library(module, tmp_path / f"net{k}.so")
        networks.append(CNetwork(tmp_path / f"net{k}.so", module, device, base))
        base += -(-module.memory_size // 4096) * 4096
    for turn in range(2):
        for module, network in zip(modules, networks):
            x = inputs_of(module, turn)
            assert all(np.array_equal(v, module.run(*x)[0][k]) for k, v in network.run(x)[1].items())


def test_what_create_refuses(tmp_path):
    module = build(random_network(3, 1), DEFAULT)
    export_library(module, tmp_path / "net.so")
    small = CDevice(device_library(DEFAULT), DEFAULT, module.memory_size - 1)
    other = CDevice(device_library(PRESETS["2x16x16"]), PRESETS["2x16x16"], 1 << 22)
    assert [CNetwork(tmp_path / "net.so", module, d).status for d in (small, other, None)] == [2, 3, 3]
    assert CNetwork(tmp_path / "net.so", module, CDevice(device_library(DEFAULT), DEFAULT, 1 << 22), base=2**64 - 4096).status == 2


def test_an_error_of_the_device_is_told(tmp_path):
    module = build(random_network(3, 1), DEFAULT)
    export_library(module, tmp_path / "net.so")
    device = CDevice(device_library(DEFAULT), DEFAULT, module.memory_size)
    network = CNetwork(tmp_path / "net.so", module, device)
    device.write(module.launches[0].insn_address, np.zeros(module.launches[0].insn_count * 16, np.uint8))
    status, _ = network.run(inputs_of(module, 0))
    assert status == 4 and re.fullmatch("the stream at 0x[0-9a-f]+ holds no FINISH", network.message)


def tiny(code: dict[str, dict[str, bytes]] | None = None) -> Module:
    """y = x + 1 on the CPU, a function written by hand: every thread takes its share."""
    operator = Operator("one more", "f", ("x",), ("y",), {}, "cpu")
    info = TensorInfo((10,), "int32", 0.5, 3)
    if code is None:
        code = {form.name: {"main_0": machine.object_code(threads.barrier(form.triple) + ADD_ONE, form)} for form in machine.FORMS.values()}
    function = CpuFunction((0,), "main_0", ("x",), ("y",), 64, np.full(4, 1, "<i4").view(np.uint8), np.zeros(1, np.int32))
    return Module("a */ \"net\"", DEFAULT, {"x": info, "y": info}, [operator], [], {}, np.zeros(0, np.uint8), 0, {}, ["x"], ["y"],
                  functions=[function], code=code)


ADD_ONE = """
define void @main_0(ptr %arena, ptr %constants, ptr %io, i64 %thread, i64 %threads, ptr %barrier) {
entry:
  %x = load ptr, ptr %io
  %at = getelementptr ptr, ptr %io, i64 1
  %y = load ptr, ptr %at
  %one = load i32, ptr %constants
  br label %loop
loop:
  %k = phi i64 [ %thread, %entry ], [ %next, %loop ]
  %from = getelementptr i32, ptr %x, i64 %k
  %to = getelementptr i32, ptr %y, i64 %k
  %old = load i32, ptr %from
  %new = add i32 %old, %one
  store i32 %new, ptr %to
  %next = add i64 %k, %threads
  %more = icmp slt i64 %next, 10
  br i1 %more, label %loop, label %meet
meet:
  call void @barrier(ptr %barrier, i64 %threads)
  ret void
}
"""


@pytest.mark.parametrize("team", [1, 2, 0], ids=["one", "two", "as many as cores"])
def test_functions_of_the_cpu(team, tmp_path):
    module = tiny()
    export_library(module, tmp_path / "net.so", cc=STRICT)
    network = CNetwork(tmp_path / "net.so", module, None, threads=team)
    for turn in range(200):
        x = np.arange(turn, turn + 10, dtype=np.int32)
        status, outputs = network.run([x])
        assert status == 0 and np.array_equal(outputs["y"], x + 1)
    network.close()


def test_code_for_another_machine_is_refused(tmp_path):
    module = tiny({"riscv64": {"main_0": b""}})
    with pytest.raises(WeftError) as caught:
        export_library(module, tmp_path / "net.so", cpu="x86-64")
    assert str(caught.value) == ("module 'a */ \"net\"': it must have code for x86-64, but found riscv64; try: `weft compile --cpu x86-64`")


def test_only_the_network_s_own_functions_are_seen(tmp_path):
    export_library(tiny(), tmp_path / "libnet.so")
    shown = subprocess.run(["nm", "-D", "--defined-only", tmp_path / "libnet.so"], capture_output=True, text=True, check=True).stdout
    assert sorted(line.split()[-1] for line in shown.splitlines()) == ["net_create", "net_destroy", "net_message", "net_run"]


def test_the_header_is_c_and_c_plus_plus(tmp_path):
    export_library(tiny(), tmp_path / "net.so")
    for language in ("c", "c++"):
        subprocess.run(["g++", "-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", tmp_path / "net.h"], check=True)
