"""Verilog of the accelerator."""

import re
from pathlib import Path

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil

from weft.isa import Config
from weft.isa.files import write_atomically

from .top import Accelerator

TOP = "accelerator"
ZERO_INIT = re.compile(r"^  cell \$meminit_v2 .*\n(?:    (?:parameter|connect \\ADDR) .*\n)*    connect \\DATA \d+'0+\n"
                       r"    connect \\EN .*\n  end\n", re.M)


def to_rtlil(config: Config) -> str:
    """RTLIL without the initial values of memories that are all zero: yosys would write a line for each row."""
    text = rtlil.convert(Accelerator(config), name=TOP, emit_src=False)
    return ZERO_INIT.sub("", text)


def to_verilog(config: Config) -> str:
    """The accelerator of `config` as one Verilog file; its top module is `accelerator`."""
    script = f"read_rtlil <<rtlil\n{to_rtlil(config)}\nrtlil\nproc -nomux -norom\nmemory_collect\n" \
             "write_verilog -norename -noattr\n"
    yosys = find_yosys(lambda version: version >= (0, 40))
    return yosys.run(["-q", "-"], script, ignore_warnings=True)


def write(config: Config, directory: str | Path) -> list[Path]:
    """Writes accelerator.v and the list of files accelerator.f into `directory`; returns both paths."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    verilog, files = directory / f"{TOP}.v", directory / f"{TOP}.f"
    write_atomically(verilog, to_verilog(config))
    write_atomically(files, f"{verilog.name}\n")
    return [verilog, files]
