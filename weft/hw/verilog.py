"""Verilog of the accelerator, and its lint."""

import re
from contextlib import contextmanager
from pathlib import Path

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil

from weft.isa import Config
from weft.isa.files import write_atomically

from .top import Accelerator

TOP = "accelerator"
WAIVERS = Path(__file__).with_name("lint.vlt")
"""What Verilator's -Wall says of any Verilog that yosys writes; everything else is an error of ours."""
FIXED_COLLISION = re.compile(r"(parameter \\COLLISION_X_MASK )1'0((?:(?!\n  end).)*?parameter \\CLK_ENABLE 1\n)", re.S)
"""Of a port that reads at a clock edge: the old content, as Amaranth defines it."""
PASSES = "proc\nopt_clean\nopt_dff\nopt_clean\nmemory_collect\n"
"""Registers with reset and enable as such, and not as logic before them: simulators skip what is not enabled."""


def to_rtlil(config: Config, part=Accelerator) -> str:
    """RTLIL of the accelerator, or of a component that is a part of it."""
    with _zero_contents_left_out():
        return rtlil.convert(part(config), name=TOP, emit_src=False)


def with_free_collisions(rtlil: str) -> str:
    """The same, but where a memory reads the word that it writes in that cycle, it may give anything: what an FPGA's block
    RAM does without more logic around it, and what nothing in the accelerator depends on."""
    return FIXED_COLLISION.sub(r"\g<1>1'1\2", rtlil)


def to_verilog(config: Config) -> str:
    """The accelerator of `config` as one Verilog file; its top module is `accelerator`."""
    return verilog_of(to_rtlil(config))


def verilog_of(rtlil: str) -> str:
    script = f"read_rtlil <<rtlil\n{rtlil}\nrtlil\n{PASSES}" \
             "write_verilog -norename -noattr\n"
    yosys = find_yosys(lambda version: version >= (0, 40))
    return yosys.run(["-q", "-"], script, ignore_warnings=True)


def write(config: Config, directory: str | Path) -> list[Path]:
    """Writes accelerator.v and the list of files accelerator.f into `directory`; returns both paths.

    The file begins with the waivers as comments to Verilator, so that it is clean under -Wall wherever it goes.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    verilog, files = directory / f"{TOP}.v", directory / f"{TOP}.f"
    rules = re.findall(r"^lint_off -rule (\w+)", WAIVERS.read_text(), re.M)
    write_atomically(verilog, "".join(f"/* verilator lint_off {rule} */\n" for rule in rules) + to_verilog(config))
    write_atomically(files, f"{verilog.name}\n")
    return [verilog, files]


@contextmanager
def _zero_contents_left_out():
    """Within, memories whose content begins as zeros are emitted without it: Amaranth handles each bit of it, and yosys
    writes a line for each row, which makes conversion several times slower and the Verilog 20 times larger."""
    emit = rtlil.ModuleEmitter.emit_memory

    def emit_unless_zero(self, index, cell):
        if any(cell.init):
            emit(self, index, cell)

    rtlil.ModuleEmitter.emit_memory = emit_unless_zero
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_memory = emit
