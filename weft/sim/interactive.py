"""The RTL by hand: signals, clock and waveforms through PyVerilator's class, over a library that weft builds itself.

>>> sim = weft.sim.interactive.open("default")           # doctest: +SKIP
>>> sim.io.irq, sim.peek("irq")                          # doctest: +SKIP
>>> sim.clock.tick(); sim.run_cycles(1000)               # doctest: +SKIP
"""

import ctypes
import importlib
import sys
import types
from functools import lru_cache
from pathlib import Path

import numpy as np

from weft.isa import Config, WeftError, load_config

from .dram import Timing
from .rtl.build import TRACED, build, verilog_of
from .rtl.library import Machine


def open(config: Config | str | Path = "default", *, dram: np.ndarray | None = None, timing: Timing = Timing(),
         verilog: str | None = None):
    """A simulation of the machine, reset, as a `pyverilator.PyVerilator`; see `Simulation` for what is added.

    Parameters
    ----------
    config: a Config, a preset's name, or a TOML file.
    dram: uint8, contiguous; the harness then drives the AXI4 master's inputs. Without it, they are the caller's.
    verilog: another text for the same machine, instead of the one that weft.hw writes.

    Raises
    ------
    WeftError: where PyVerilator is not installed, or the build is refused.
    """
    pyverilator = _pyverilator()
    config = load_config(config)
    library = build(verilog_of(config) if verilog is None else verilog, TRACED, name=f"config '{config.name}'")
    simulation = _simulation_class(pyverilator)(str(library))
    if dram is not None:
        simulation.attach(dram, timing)
    simulation.reset()
    return simulation


def _pyverilator():
    """The package, with a stand-in for its tclwrapper, whose import fails on Python 3.11: only GTKWave's remote control needs it."""
    if "tclwrapper" not in sys.modules:
        sys.modules["tclwrapper"] = types.ModuleType("tclwrapper")
    try:
        return importlib.import_module("pyverilator")
    except ImportError as error:
        raise WeftError("weft.sim.interactive", "the interactive simulation needs the package pyverilator 0.7", str(error),
                        "`pip install --no-deps pyverilator==0.7.0`") from error


@lru_cache
def _simulation_class(pyverilator) -> type:
    class Clock(pyverilator.Clock):
        """The clock, which takes the harness with it: DRAM answers, waveforms go on."""

        def tick(self):
            self.sim_object.run_cycles(1)

    class Simulation(pyverilator.PyVerilator):
        """PyVerilator's class (`io`, `internals`, `clock`, `start_vcd_trace`, ...), and:

        peek, poke: a signal by its Verilog name, ports and internal signals alike.
        run_cycles: the hot loop, in C++.
        attach, reset, read_register, write_register: the harness's DRAM and host.
        """

        def __init__(self, library: str):
            super().__init__(library, auto_eval=True)
            self.harness = Machine(self.lib, self.model)
            self.clock = Clock(self.io._item_dict["clk"])
            self._by_name = {".".join(path): signal for path, signal in self.all_signals.items()}

        def _sim_init(self):
            """Inputs are 0 when the model is made; a call of C for each of them is not needed."""

        def attach(self, dram: np.ndarray, timing: Timing = Timing()):
            """The harness answers the AXI4 master from now on, with `dram` itself (uint8, contiguous)."""
            self.harness.attach(dram, timing)

        def reset(self):
            """Four cycles of rst. Scratchpads keep their contents."""
            self.harness.reset()

        def peek(self, name: str) -> int:
            """The value of a signal: `irq`, or `load.state` for one inside."""
            return self._signal(name).value

        def poke(self, name: str, value: int):
            """Sets an input or an internal signal, and lets everything that follows from it settle."""
            signal = self._signal(name)
            if signal.verilator_name in (output for output, _ in self.outputs):
                raise WeftError(f"signal '{name}'", "an output follows from the machine and cannot be set", "an output",
                                "one of the inputs, or the register behind it")
            if not 0 <= value < 1 << signal.width:
                raise WeftError(f"signal '{name}'", f"a value has {signal.width} bits", str(value), "a smaller value")
            function = getattr(self.lib, f"set_{signal.verilator_name}")
            if signal.width > 64:
                function.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32]
                for word in range(-(-signal.width // 32)):
                    function(self.model, word, value >> 32 * word & 0xFFFFFFFF)
            else:
                function.argtypes = [ctypes.c_void_p, ctypes.c_uint64 if signal.width > 32 else ctypes.c_uint32]
                function(self.model, value)
            self._post_write_hook(signal.verilator_name, value)

        def run_cycles(self, count: int):
            """`count` cycles of the clock; a waveform that is open gets them all."""
            self.harness.cycles(count)

        def write_register(self, name: str, value: int):
            """As the host does, over AXI4-Lite; takes a few cycles."""
            if not self.harness.write_register(name, value):
                raise self._bus_error()

        def read_register(self, name: str) -> int:
            """As the host does, over AXI4-Lite; takes a few cycles."""
            value = self.harness.read_register(name)
            if value is None:
                raise self._bus_error()
            return value

        def start_vcd_trace(self, filename: str | Path, auto_tracing: bool = True):
            """Writes every signal to a .vcd file from now on."""
            super().start_vcd_trace(str(filename), auto_tracing)

        def _signal(self, name: str):
            signal = self._by_name.get(name)
            if signal is None:
                near = [known for known in self._by_name if name.split(".")[-1] in known][:5]
                raise WeftError(f"signal '{name}'", "a signal is a port or an internal signal of the Verilog", "no such name",
                                ", ".join(near) or "dir(sim.io), dir(sim.internals)")
            return signal

        def _bus_error(self) -> WeftError:
            fault = self.harness.fault
            return WeftError("simulation", fault.rule, fault.found, fault.hint)

    return Simulation
