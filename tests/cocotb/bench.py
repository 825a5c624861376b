"""The bench around the RTL in cocotb: cocotbext-axi's AxiRam is the DRAM, its AxiLiteMaster the host."""

import logging
import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from weft.isa import Config, RawProgram, load_config
from weft.isa.registers import REGISTERS
from weft.runtime.device import Bases, LaunchReport
from weft.sim.rtl.device import flag

LIMIT = 1_000_000  # cycles of a launch


class Bench:
    """Clock, DRAM of `dram_size` bytes and host of one dut. `await bench.reset()` before anything else."""

    def __init__(self, dut, dram_size: int):
        self.dut = dut
        Clock(dut.clk, 10, unit="ns").start()
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi_"), dut.clk, dut.rst, size=dram_size)
        logging.getLogger("cocotb.accelerator").setLevel(logging.WARNING)  # not a line for every beat
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil_"), dut.clk, dut.rst)

    async def reset(self):
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 4)

    async def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases()) -> int:
        """Runs a stream until irq; the cycles that the hardware counted."""
        await self._write("control", 0)
        await self._write("insn_count", insn_count)
        await self._write("insn_address", insn_address)
        for kind in ("uop", "inp", "wgt", "acc", "out", "qnt"):
            await self._write(f"{kind}_base", getattr(bases, kind))
        await self._write("control", flag("control", "launch"))
        if not self.dut.irq.value:
            await First(RisingEdge(self.dut.irq), ClockCycles(self.dut.clk, LIMIT))
        assert self.dut.irq.value, f"no irq in {LIMIT} cycles"
        await ClockCycles(self.dut.clk, 100)  # for a store that FINISH did not wait for
        return await self.host.read_dword(REGISTERS["cycles"].offset)

    async def _write(self, register: str, value: int):
        await self.host.write_dword(REGISTERS[register].offset, value)


async def run_launch(dut, dram_image: np.ndarray, launches: list[tuple[int, int, Bases]]) -> tuple[np.ndarray, list[int]]:
    """DRAM (uint8, as large as `dram_image`) after these launches, and the cycles of each."""
    bench = Bench(dut, -(-dram_image.size // 4096) * 4096)
    bench.ram.write(0, dram_image.tobytes())
    await bench.reset()
    cycles = [await bench.launch(*launch) for launch in launches]
    return np.frombuffer(bench.ram.read(0, dram_image.size), np.uint8), cycles


class CocotbDevice:
    """The bench as a `Device`, for code that is not async: `await bridge(function)(CocotbDevice(bench, config))`."""

    name = "cocotb"

    def __init__(self, bench: Bench, config: Config):
        self.bench, self.config, self.dram_size = bench, config, bench.ram.size

    def write(self, address: int, data: np.ndarray) -> None:
        self.bench.ram.write(address, np.ascontiguousarray(data).tobytes())

    def read(self, address: int, size: int) -> np.ndarray:
        return np.frombuffer(self.bench.ram.read(address, size), np.uint8).copy()

    def launch(self, insn_address: int, insn_count: int, bases: Bases = Bases(), *, trace: bool = False,
               max_cycles: int | None = None) -> LaunchReport:
        """As `Device.launch`; this bench records no events, whether asked or not."""
        return LaunchReport(resume(self.bench.launch)(insn_address, insn_count, bases))

    def close(self) -> None:
        pass


@cocotb.test()
async def raw_program(dut):
    """The program of $WEFT_PROGRAM leaves every byte of DRAM as it says; through run_launch and through the device."""
    config = load_config(os.environ["WEFT_CONFIG"])
    program = RawProgram.load(Path(os.environ["WEFT_PROGRAM"]), config)
    before = np.zeros(program.dram_base + program.dram_before.size, np.uint8)
    before[program.dram_base:] = program.dram_before
    stream = (program.insn_address, len(program.insns))
    after, cycles = await run_launch(dut, before, [(*stream, Bases())])
    compare(after[program.dram_base:], program)
    dut._log.info(f"{program.name}: {program.dram_after.size} bytes as expected in {cycles[0]} cycles")


@cocotb.test()
async def raw_program_by_device(dut):
    """The same through the Device protocol, as the runtime's executor runs a network."""
    config = load_config(os.environ["WEFT_CONFIG"])
    program = RawProgram.load(Path(os.environ["WEFT_PROGRAM"]), config)
    bench = Bench(dut, -(-(program.dram_base + program.dram_before.size) // 4096) * 4096)
    await bench.reset()
    device = CocotbDevice(bench, config)

    def host():
        device.write(program.dram_base, program.dram_before)
        device.launch(program.insn_address, len(program.insns))
        return device.read(program.dram_base, program.dram_before.size)

    compare(await bridge(host)(), program)


def compare(after: np.ndarray, program: RawProgram):
    wrong = np.flatnonzero(after != program.dram_after)
    assert not wrong.size, (f"{program.name}: {wrong.size} bytes differ, the first at {program.dram_base + wrong[0]:#x}: "
                            f"{after[wrong[0]]}, expected {program.dram_after[wrong[0]]}")
