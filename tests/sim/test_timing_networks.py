"""Whole networks on the timing device and on RTL: every instruction starts and ends in the same cycle."""

import dataclasses

import numpy as np
import pytest

from weft.bench import networks
from weft.compiler.pipeline import compile
from weft.isa import DEFAULT, Config
from weft.runtime.device import open_device
from weft.sim.conform import load_module

pytestmark = pytest.mark.models
WIDE = dataclasses.replace(DEFAULT, name="128 bits", bus_bits=128)


@pytest.mark.parametrize(("name", "size", "config", "latencies"), [
    ("resnet18", 224, DEFAULT, (0, 16, 64)), ("mobilenet_v2", 224, DEFAULT, (0, 16, 64)), ("mobilenet_v1", 224, DEFAULT, (16,)),
    ("resnet50", 96, DEFAULT, (16,)), ("resnet18", 64, WIDE, (0, 16, 64)), ("mobilenet_v2", 96, WIDE, (16,))],
    ids=lambda value: value.name if isinstance(value, Config) else str(value))
def test_networks_take_the_cycles_of_rtl(name, size, config, latencies):
    for program in load_module(compile(networks.load(name, size=size), config)):
        for latency in latencies:
            timing, rtl = (open_device(device, config, program.dram_before.size, latency=latency, **options)
                           for device, options in (("timing", {"outputs": False}), ("rtl", {})))
            reports = []
            for device in (timing, rtl):
                device.write(0, program.dram_before)
                reports.append(device.launch(program.insn_address, len(program.insns), trace=True))
                device.close()
            assert reports[0].cycles == reports[1].cycles and np.array_equal(reports[0].events, reports[1].events), latency
