"""PTX out of IR by LLVM's NVPTX, and NVIDIA's ptxas to prove it where there is one."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import llvmlite.binding as llvm
from llvmlite import ir

from weft.isa import WeftError
from weft.llvm.machine import cached, initialise, parse

TRIPLE = "nvptx64-nvidia-cuda"
ARCHITECTURES = ("sm_80", "sm_90")  # what is tested; the driver translates sm_80's PTX for every later GPU
DEFAULT = "sm_80"


def ptx(module: ir.Module | str, architecture: str = DEFAULT) -> str:
    """The module's PTX for a GPU and all that came after it, from the cache if it was made before."""
    text = str(module)
    return cached("ptx", (text, architecture), lambda: _generate(text, architecture).encode()).decode()


def _generate(text: str, architecture: str) -> str:
    initialise()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=architecture, opt=3)
    parsed = parse(text, machine)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_assembly(parsed)


def find_ptxas() -> str | None:
    """NVIDIA's assembler on PATH, None where there is none."""
    return shutil.which("ptxas")


def assemble(text: str, architecture: str, ptxas: str) -> str:
    """ptxas' report on the PTX: registers, spills and shared memory of each kernel. WeftError where it does not accept it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernels.ptx"
        source.write_text(text)
        done = subprocess.run([ptxas, f"-arch={architecture}", "-v", str(source), "-o", str(source.with_suffix(".cubin"))],
                              capture_output=True, text=True)
    if done.returncode:
        raise WeftError(f"PTX for {architecture}", "ptxas must accept it", (done.stdout + done.stderr).strip(),
                        "to report this: it is a fault of the compiler")
    return done.stdout + done.stderr
