"""Runs a raw program on the RTL in cocotb: `python -m tests.cocotb.run [--config NAME] [--verilog FILE] [program.npz]`.

The simulation is built once and kept in weft's cache. $WEFT_CONFIG and $WEFT_PROGRAM tell `bench.py` what to run; another
cocotb module of this folder (`--module`) may use its Bench, run_launch or CocotbDevice for more than a raw program.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from cocotb_tools.runner import get_results, get_runner

from weft.isa import PRESETS, load_config
from weft.sim.rtl.build import TOP, content_hash, locked, status, verilog_of
from weft.sim.rtl.toolchain import cache_dir, find_verilator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SMALL = ROOT / "tests" / "vectors" / "000_single_gemm_00.npz"
ARGUMENTS = ["--no-public-flat-rw", "--no-timing", "-Wno-lint", "-Wno-style", "--x-assign", "fast", "--x-initial", "fast", "-CFLAGS", "-O1"]


def build(verilog: str) -> Path:
    """The folder of the built simulation."""
    verilator = find_verilator()
    control = HERE / "ports.vlt"
    key = content_hash("cocotb", verilog, verilator.version, repr(ARGUMENTS), control.read_text(), str(HERE))
    folder = cache_dir() / f"cocotb-{key}"
    with locked(key):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            (folder / "top.v").write_text(verilog)
            with status("Building the RTL for cocotb; once"):
                get_runner("verilator").build(sources=[control, folder / "top.v"], hdl_toplevel=TOP, build_dir=folder,
                                              build_args=ARGUMENTS, timescale=("1ns", "1ps"), log_file=folder / "build.log")
            (folder / "done").touch()
    return folder


def run(config: str, program: Path, *, module: str = "bench", verilog: str | None = None, quiet: bool = False) -> int:
    """The number of tests that failed; every module has at least one test."""
    with mock.patch.dict(os.environ, find_verilator().environment):  # the runner looks for verilator on PATH
        return _run(config, program, module, verilog, quiet)


def _run(config: str, program: Path, module: str, verilog: str | None, quiet: bool) -> int:
    folder = build(verilog_of(load_config(config)) if verilog is None else verilog)
    sys.path[:0] = [path for path in (str(HERE), str(ROOT)) if path not in sys.path]  # the runner hands sys.path on
    runner = get_runner("verilator")
    with tempfile.TemporaryDirectory(prefix="weft-cocotb-") as scratch:
        results = runner.test(
            test_module=module, hdl_toplevel=TOP, build_dir=folder, test_dir=scratch, hdl_toplevel_lang="verilog",
            results_xml=str(Path(scratch) / "results.xml"), log_file=str(Path(scratch) / "log") if quiet else None,
            extra_env={"WEFT_CONFIG": config, "WEFT_PROGRAM": str(Path(program).absolute())})
        tests, failed = get_results(results)
        if quiet and failed:
            print((Path(scratch) / "log").read_text())
    return failed if tests else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs a raw program on the RTL in cocotb and compares every byte of DRAM.")
    parser.add_argument("program", nargs="?", type=Path, default=SMALL, help="an .npz as tests/vectors has them")
    parser.add_argument("--config", default="default", help=f"a preset ({', '.join(PRESETS)}) or a TOML file")
    parser.add_argument("--module", default="bench", help="the cocotb module that holds the tests")
    parser.add_argument("--verilog", type=Path, help="another text for the same machine")
    options = parser.parse_args()
    verilog = options.verilog.read_text() if options.verilog else None
    return run(options.config, options.program, module=options.module, verilog=verilog)


if __name__ == "__main__":
    sys.exit(main())
