"""Libraries for other machines, linked by `zig cc` and run under qemu-user: every bit as here. `make cross` runs them.

They need the Python package ziglang (the extra `cross`), and qemu-user of the system (Debian: qemu-user-static).
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weft
from tests.conformance import programs
from tests.conftest import ROOT
from tests.examples.test_c import expected_text, image, same
from weft.export import export_board, export_device, export_library
from weft.export.linker import compiler, host_architecture
from weft.isa import DEFAULT
from weft.llvm import machine

pytestmark = pytest.mark.cross
EXAMPLE = ROOT / "examples" / "c"
CPUS = {"aarch64": "cortex-a53", "armv7": "cortex-a9", "riscv64": "rv64"}  # what qemu runs them as: boards' own cores
X86 = ("Nehalem", "Haswell")  # without AVX; without AVX-512


def qemu(architecture: str, cpu: str) -> list[str]:
    """The command that runs a program of another machine; skips where there is none."""
    name = {"armv7": "arm"}.get(architecture, architecture)
    found = shutil.which(f"qemu-{name}-static") or shutil.which(f"qemu-{name}")
    if not found:
        pytest.skip(f"no qemu-{name}: install qemu-user-static")
    return [found, "-cpu", cpu]


def linked(cpu: str, program: Path, folder: Path, *objects: str) -> Path:
    """A program of C and objects in a folder; skips without ziglang."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("no ziglang: `make cross` installs it")
    made = folder / program.stem
    subprocess.run([*compiler(cpu), "-static", "-I", folder, program, *(folder / o for o in objects), "-o", made], check=True)
    return made


@pytest.mark.parametrize("cpu", CPUS)
def test_raw_programs(cpu, tmp_path):
    """The engine: products, ALU, padding, depthwise windows, tokens; DRAM afterwards is what the conformance programs say."""
    emulator = qemu(cpu, CPUS[cpu])
    export_device(tmp_path / "functional.o", DEFAULT, cpu=cpu)
    program = linked(cpu, Path(__file__).parent / "programs.c", tmp_path, "functional.o")
    told, expected = b"", b""
    chosen = [p for p in programs() if p.config == DEFAULT and p.dram_after is not None]
    for p in chosen:
        size = p.dram_base + p.dram_before.size
        head = np.array([size, p.dram_base, p.dram_before.size, p.insn_address, len(p.insns)], "<u8")
        told += head.tobytes() + p.dram_before.tobytes()
        expected += bytes(p.dram_base) + p.dram_after.tobytes()
    done = subprocess.run([*emulator, program], input=told, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(chosen) > 50 and done.stdout == expected


@pytest.mark.parametrize("cpu", CPUS)
def test_the_device_of_a_board_is_accepted(cpu, tmp_path):
    """There is no board to run it on: it compiles, and the program that opens it links and says that there is no register."""
    emulator = qemu(cpu, CPUS[cpu])
    export_board(tmp_path / "board.o", cpu=cpu)
    (tmp_path / "main.c").write_text(NO_BOARD)
    program = linked(cpu, tmp_path / "main.c", tmp_path, "board.o")
    assert subprocess.run([*emulator, program]).returncode == 4


NO_BOARD = """#include "board.h"
static int none(void *context, uint32_t offset, uint32_t *value) { (void)context; (void)offset; (void)value; return 1; }
int main(void) {
    weft_device device;
    weft_board board = {.read_register = none};
    return weft_board_open(&device, &board);
}
"""


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("target", ["accel,cpu", "cpu"])
def test_a_network(cpu, target, tmp_path):
    """The digits example, with machine code for what is not on the accelerator, or for all of it."""
    emulator = qemu(cpu, CPUS[cpu])
    module = weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx", target=target, cpu=cpu)
    assert list(module.code) == [cpu]
    export_library(module, tmp_path / "digits.o")
    export_device(tmp_path / "functional.o", DEFAULT, cpu=cpu)
    program = linked(cpu, EXAMPLE / "digits.c", tmp_path, "digits.o", "functional.o")
    done = subprocess.run([*emulator, program], stdin=(EXAMPLE / "seven.txt").open(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = weft.compile(ROOT / "examples" / "digits" / "digits_int8.onnx", target=target)
    assert same(done.stdout) == same(expected_text(here.run(image())[0]["logits"]))


@pytest.mark.skipif(host_architecture() != "x86_64", reason="the forms of x86-64")
@pytest.mark.parametrize("cpu", X86)
def test_a_lesser_cpu_gets_code_that_it_can_run(cpu, tmp_path):
    """One library for all: under a CPU without AVX-512, or without AVX, the program does not crash and computes the same."""
    emulator = qemu("x86_64", cpu)
    subprocess.run(["make", "-s", "-C", EXAMPLE, f"BUILD={tmp_path}", f"WEFT={sys.executable} -m weft.cli", tmp_path / "digits"], check=True,
                   stdout=subprocess.DEVNULL)
    module = weft.load(tmp_path / "digits.weft")
    assert set(module.code) == {form.name for form in machine.forms_of("x86-64")}
    done = subprocess.run([*emulator, tmp_path / "digits"], stdin=(EXAMPLE / "seven.txt").open(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert same(done.stdout) == same(expected_text(module.run(image())[0]["logits"]))


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", ["resnet8_cifar10_int8.tflite", "kwt1_speechcommands_fp32.onnx"])
def test_a_trained_network_by_two_threads(name, cpu, models, tmp_path):
    """int8 to the bit; of float32 each form has its own order and rounding of sums, so nearly."""
    emulator = qemu(cpu, CPUS[cpu])
    here, there = (weft.compile(models / name, target="cpu", cpu=of) for of in (None, cpu))
    export_library(there, tmp_path / "net.o")
    program = linked(cpu, Path(__file__).parent / "network.c", tmp_path, "net.o")
    rng, info = np.random.default_rng(0), here.tensors[here.inputs[0]]
    inputs = [(rng.standard_normal(info.shape) * 40).astype(info.dtype) for _ in range(2)]
    done = subprocess.run([*emulator, program, "2"], input=b"".join(x.tobytes() for x in inputs), capture_output=True)
    assert done.returncode == 0, done.stderr
    expected = np.stack([here["main"](x) for x in inputs])
    made = np.frombuffer(done.stdout, expected.dtype).reshape(expected.shape)
    if expected.dtype == np.float32:
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    else:
        assert np.array_equal(made, expected)
