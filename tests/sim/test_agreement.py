"""Functional device, RTL and integer reference agree on every byte: random programs, random small networks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.conftest import EXAMPLES
from tests.random_networks import random_network
from tests.random_programs import random_program
from weft.compiler.pipeline import build
from weft.isa import PRESETS, WeftError
from weft.runtime.device import open_device

DEVICES = ("functional", "rtl")
SEEDS = st.integers(0, 2**32 - 1)
STALLS = st.one_of(st.none(), st.integers(0, 2**31 - 1))
FEW = settings(max_examples=EXAMPLES or 12, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@FEW
@given(seed=SEEDS, latency=st.sampled_from([0, 16, 64]), stall_seed=STALLS)
def test_random_programs(config, seed, latency, stall_seed):
    program = random_program(config, seed)
    size = program.dram_base + program.dram_before.size
    after = []
    for name in DEVICES:
        options = {"latency": latency, "stall_seed": stall_seed} if name == "rtl" else {}
        device = open_device(name, config, size, **options)
        device.write(program.dram_base, program.dram_before)
        device.launch(program.insn_address, len(program.insns))
        after.append(device.read(0, size))
        device.close()
    assert np.array_equal(*after)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@FEW
@given(seed=SEEDS, threads=st.sampled_from([1, 2]))
def test_random_networks(config, seed, threads):
    graph = random_network(seed, config.batch)
    try:
        module = build(graph, config, virtual_threads=threads)
    except WeftError as error:
        assert config.name == "1x8x8" and "must fit" in error.rule, error  # small buffers hold no 7x7 tile of five blocks
        return
    x = np.random.default_rng(seed).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
    for name in DEVICES:
        assert module.run(x, device=name)[1].bit_exact, name
