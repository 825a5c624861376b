"""The RTL device: what the hardware does, cycle for cycle, with its DRAM in this process."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weft.isa import Config, Instruction, Module, WeftError, decode
from weft.isa.registers import REGISTERS
from weft.isa.table import INSTRUCTION_BYTES
from weft.runtime.device import EVENT, ArrayDram, Bases, LaunchReport

from ..dram import Timing, whole_pages
from .build import FAST, TRACED, build, library_of
from .diagnose import bits, running, steps, who_waits
from .library import Machine, Stop
from .toolchain import cache_dir

COUNTERS = ("acc_writes", "gemm_steps", "alu_steps", "read_beats", "write_beats", "load_busy", "compute_busy", "store_busy")
POINTER_BITS = 32
CHUNK = 1 << 22  # cycles between two looks at Python's signals (Ctrl-C): about two seconds
QUIET = 10_000  # cycles without a handshake or an instruction's start or end, latency aside, that nothing but steps explains
CYCLES_A_STEP = 16  # at most, of GEMM and ALU


def flag(register: str, name: str) -> int:
    """The mask of a register's named field."""
    for field, low, width in REGISTERS[register].bits:
        if field == name:
            return (1 << width) - 1 << low
    raise KeyError(f"{register}.{name}")


class RtlDevice(ArrayDram):
    """The accelerator's Verilog in Verilator, with a DRAM behind AXI4.

    Parameters
    ----------
    config: the machine. dram_size: bytes, rounded up to whole pages of 4096.
    latency, write_latency, bandwidth, outstanding, stall_seed: the DRAM's behaviour; see `Timing`.
    waveform: a .vcd file to write (21 KB a cycle), by a slower build of the same Verilog.
    verilog: another text for the same machine, instead of the one that weft.hw writes. library: one that is built already.

    Raises
    ------
    WeftError: where a tool is missing, the Verilog is refused, or DRAM is larger than pointers reach.
    """

    name = "rtl"

    def __init__(self, config: Config, dram_size: int = 1 << 26, *, latency: int = 16, write_latency: int = 0,
                 bandwidth: float = 1.0, outstanding: int = 64, stall_seed: int | None = None,
                 waveform: str | Path | None = None, verilog: str | None = None, library: Path | None = None):
        if not 0 < dram_size <= 1 << POINTER_BITS:
            raise WeftError("device 'rtl'", f"dram_size is from 1 to 2**{POINTER_BITS}, what pointers reach", str(dram_size),
                            "dram_size=1 << 26")
        if not 0 < bandwidth <= 1:
            raise WeftError("device 'rtl'", "bandwidth is above 0 and up to 1, in beats a cycle", str(bandwidth), "bandwidth=1.0")
        if latency < 0 or write_latency < 0 or outstanding < 1:
            raise WeftError("device 'rtl'", "latencies are 0 or more and outstanding is 1 or more",
                            f"{latency}, {write_latency} and {outstanding}", "latency=16, write_latency=0, outstanding=64")
        super().__init__(whole_pages(dram_size))
        self.config = config
        self.timing = Timing(latency, write_latency, bandwidth, outstanding, stall_seed)
        flavour = TRACED if waveform else FAST
        if library is None:
            library = library_of(config, flavour, cache_dir()) if verilog is None else build(verilog, flavour)
        self._machine = Machine(library)
        self._machine.attach(self.dram, self.timing)
        if waveform:
            self._machine.open_vcd(waveform)
        self._machine.reset()
        self._broken = False  # a launch did not end as it should: the next one begins with a reset

    def close(self):
        self._machine.close()

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False,
               max_cycles: int | None = None) -> LaunchReport:
        """Runs a stream until FINISH; see `Device.launch`. Events count from the cycle in which the launch was written."""
        instructions = self._stream(insn_address, insn_count)
        machine, began = self._machine, time.perf_counter()
        if self._broken:
            machine.reset()
        self._broken = True
        launched = self._start(insn_address, insn_count, bases)
        self._wait(instructions, launched, max_cycles)
        seconds = time.perf_counter() - began
        status = bits("status", self._read("status"))
        for problem, hint in (("illegal", "a program made for this version of the instruction set"),
                              ("bus_error", "a program made for this memory plan")):
            if status[problem]:
                raise self._error(f"a launch must end without status.{problem}", "it", hint)
        report = LaunchReport(self._read("cycles"), self._events(instructions, launched) if trace else None,
                              {**{name: self._read(name) for name in COUNTERS}, "seconds": seconds})
        self._broken = False
        return report

    def _stream(self, address: int, count: int) -> list[Instruction]:
        size = count * INSTRUCTION_BYTES
        if count < 1 or address < 0 or address + size > self.dram.size:
            raise self._error("an instruction stream has instructions and lies within DRAM",
                              f"{count} instructions at {address:#x} of {self.dram.size:#x}", "the address it was written to")
        if address % INSTRUCTION_BYTES:
            raise self._error(f"an instruction stream is aligned to {INSTRUCTION_BYTES} bytes", f"{address:#x}",
                              "an aligned address")
        return decode(self.dram[address:address + size], self.config)

    def _start(self, insn_address: int, insn_count: int, bases: Bases) -> int:
        """Writes the registers; the cycle in which the launch was taken."""
        self._write("control", 0)
        self._write("insn_count", insn_count)
        self._write("insn_address", insn_address)
        for kind, address in dataclasses.asdict(bases).items():
            self._write(f"{kind}_base", address)
        self._machine.forget_events()
        self._write("control", flag("control", "launch"))
        return self._machine.last_register_write

    def _wait(self, instructions: Sequence[Instruction], launched: int, max_cycles: int | None):
        machine, timing = self._machine, self.timing
        quiet = allowed = QUIET + 8 * timing.latency + round(8 / timing.bandwidth)
        while True:
            left = CHUNK if max_cycles is None else min(CHUNK, launched + 1 + max_cycles - machine.now)
            stop = machine.run(left, allowed) if left > 0 else Stop.OUT_OF_CYCLES
            if stop == Stop.DONE:
                return
            if stop == Stop.FAULT:
                fault = machine.fault
                raise self._error(fault.rule, f"{fault.found}, in cycle {fault.cycle - launched}", fault.hint)
            if stop == Stop.QUIET:
                busy = running(instructions, Module.COMPUTE, *self._begun()[Module.COMPUTE])
                needs = quiet + (CYCLES_A_STEP * steps(busy[1]) if busy else 0)
                if needs <= allowed:
                    raise self._error("a program must finish", f"{allowed} cycles without progress: {self._who_waits(instructions)}",
                                      "a push for each pop, in an order that lets every module go on")
                allowed = needs
            elif left < CHUNK:
                raise self._error(f"a launch must finish within max_cycles = {max_cycles}", self._who_waits(instructions),
                                  "a larger max_cycles")
            else:
                allowed = quiet

    def _begun(self) -> dict[Module, tuple[int, int]]:
        return {module: tuple(map(len, self._machine.events(module))) for module in Module}

    def _who_waits(self, instructions: Sequence[Instruction]) -> str:
        return who_waits(instructions, self._begun(), self._read("tokens"), self._read("status"))

    def _events(self, instructions: Sequence[Instruction], launched: int) -> np.ndarray:
        events = np.zeros(len(instructions), EVENT)
        events["module"] = [instruction.module for instruction in instructions]
        for module in Module:
            own = np.flatnonzero(events["module"] == module)
            for name, cycles in zip(("start", "end"), self._machine.events(module)):
                if len(cycles) != len(own):
                    raise self._error("each instruction has one event", f"{len(cycles)} {name}s of {len(own)} instructions of "
                                      f"{module.name.lower()}", "a FINISH that is the last instruction and waits for the others")
                events[name][own] = cycles - np.uint64(launched)
        return events

    def _write(self, register: str, value: int):
        if not self._machine.write_register(register, value):
            raise self._fault()

    def _read(self, register: str) -> int:
        value = self._machine.read_register(register)
        if value is None:
            raise self._fault()
        return value

    def _fault(self) -> WeftError:
        fault = self._machine.fault
        return self._error(fault.rule, fault.found, fault.hint)

    def _error(self, rule: str, found: str, hint: str) -> WeftError:
        return WeftError(f"device '{self.name}'", rule, found, hint)
