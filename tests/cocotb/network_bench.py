"""A whole compiled network in cocotb, through the runtime's own executor: $WEFT_PROGRAM is a module, with its input beside it."""

import os
from pathlib import Path

import cocotb
import numpy as np
from bench import Bench, CocotbDevice
from cocotb.task import bridge

from weft.runtime.executor import Executor
from weft.runtime.module import Module


@cocotb.test()
async def network(dut):
    """Every output byte of the network equals the integer reference's."""
    path = Path(os.environ["WEFT_PROGRAM"])
    module = Module.load(path)
    bench = Bench(dut, -(-module.memory_size // 4096) * 4096)
    await bench.reset()

    def host():
        return Executor(module, CocotbDevice(bench, module.config)).run([np.load(path.with_suffix(".npy"))])

    outputs, report = await bridge(host)()
    assert report.bit_exact, f"{module.name}: outputs differ from the integer reference"
    print(f"{module.name}: {report.cycles:,} cycles in cocotb, outputs equal to the integer reference")
