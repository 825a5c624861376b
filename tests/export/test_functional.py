"""The functional device as a library for C, in each form of this machine: the same bytes as in Python, and refusals in place of crashes."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.conftest import EXAMPLES
from tests.conformance import programs
from tests.export.c_device import CBases, CDevice
from tests.export.libraries import device_library
from tests.random_networks import random_network
from tests.random_programs import random_program
from weft.compiler.pipeline import build
from weft.export.functional import array_bytes, device_tables, export_device
from weft.isa import DEFAULT, PRESETS, WeftError
from weft.isa.asm import assemble
from weft.llvm.machine import FORMS, host_forms
from weft.runtime.device import Bases
from weft.sim.conform import run_one
from weft.sim.functional import FunctionalDevice

NATIVE = [form.name for form in host_forms()]


@pytest.mark.parametrize("config", dict.fromkeys(p.config for p in programs()), ids=lambda c: c.name)
def test_conformance(config):
    """Every form for the default machine, and the one that is chosen for others."""
    for form in NATIVE if config == DEFAULT else NATIVE[:1]:
        for program in (p for p in programs() if p.config == config):
            device = CDevice(device_library(config, form), config, program.dram_base + program.dram_before.size)
            assert run_one(program, device) == (None, None), (program.name, form)
            device.close()


@settings(max_examples=EXAMPLES or 10)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs(seed):
    program = random_program(DEFAULT, seed)
    size = program.dram_base + program.dram_before.size
    after = []
    for device in (FunctionalDevice(DEFAULT, size), CDevice(device_library(DEFAULT), DEFAULT, size)):
        device.write(program.dram_base, program.dram_before)
        device.launch(program.insn_address, len(program.insns))
        device.launch(program.insn_address, len(program.insns))  # scratchpads and tokens survive
        after.append(device.read(0, size))
        device.close()
    assert np.array_equal(*after)


def test_a_network():
    module = build(random_network(7, DEFAULT.batch), DEFAULT)
    device = CDevice(device_library(DEFAULT), DEFAULT, module.memory_size)
    for seed in range(2):
        x = np.random.default_rng(seed).integers(-128, 128, module.tensors["x"].shape).astype(np.int8)
        assert module.run(x, device=device)[1].bit_exact
    device.close()


@pytest.mark.parametrize("text, message", [
    ("gemm uop=0:0 iter=0,0 dst=0,0 src=0,0 wgt=0,0 pop_prev\nfinish", "status 4: the program waits for tokens for ever, after 0 instructions"),
    ("load inp sram=0 dram=0 y=1 x=1 stride=1", "status 4: the stream at 0x800 holds no FINISH"),
    ("load inp sram=0 dram=256 y=1 x=1 stride=1\nfinish", "status 4: instruction 0 cannot run; `weft check` on the program says why"),
])
def test_refusals(text, message):
    program = assemble(".dram 0 4096\n.code 0x800\n" + text, "p", DEFAULT)
    device = CDevice(device_library(DEFAULT), DEFAULT, 4096)
    device.write(0, program.dram_before)
    with pytest.raises(WeftError) as caught:
        device.launch(program.insn_address, len(program.insns))
    assert caught.value.found == message
    device.close()


def test_refuses_unknown_opcodes_and_what_lies_outside():
    device = CDevice(device_library(DEFAULT), DEFAULT, 4096)
    device.write(0, np.full(16, 7, np.uint8))
    for act, found in ((lambda: device.launch(0, 1), "status 4: the stream at 0x0 holds an unknown opcode"),
                       (lambda: device.launch(4080, 2), "status 2: a stream must lie within DRAM, but at 0xff0 are 2 instructions"),
                       (lambda: device.read(4000, 97), "status 2: an access must lie within DRAM, but at 0xfa0 are 97 bytes"),
                       (lambda: device.write(2**64 - 8, np.zeros(16, np.uint8)),
                        "status 2: an access must lie within DRAM, but at 0xfffffffffffffff8 are 16 bytes")):
        with pytest.raises(WeftError) as caught:
            act()
        assert caught.value.found == found
    device.close()


def test_many_streams_are_forgotten_and_decoded_again():
    program = assemble(".dram 0 4096\n.code 0x800\nfinish", "p", DEFAULT)
    device = CDevice(device_library(DEFAULT), DEFAULT, 1 << 16)
    for turn in range(2):
        for place in range(100):
            device.write(256 * place, program.insns)
            device.launch(256 * place, 1)
    device.close()


def test_the_header_speaks_of_the_machine_as_python_does():
    assert [name for name, _ in CBases._fields_] == list(Bases.__dataclass_fields__)
    assert CDevice(device_library(DEFAULT), DEFAULT, 64).struct.fingerprint == int(DEFAULT.fingerprint, 16) & 0xFFFFFFFF


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_scratchpads_have_the_size_that_python_gives_them(config):
    from weft.sim.scratchpads import Scratchpads

    sizes = array_bytes(config, FORMS["plain"])
    for name in ("uop", "inp", "wgt", "acc", "qnt", "lut"):
        assert sizes[name] == getattr(Scratchpads(config), name).nbytes


def test_tables_name_every_form():
    text = device_tables(DEFAULT, [FORMS["aarch64"]])
    assert "prepare_aarch64, run_aarch64, 0" in text and "avx" not in text


def test_a_cpu_that_is_none(tmp_path):
    with pytest.raises(WeftError) as caught:
        export_device(tmp_path / "f.so", DEFAULT, cpu="abacus")
    assert str(caught.value) == "CPU 'abacus': there is machine code for x86-64, aarch64, armv7, riscv64, but found 'abacus'; try: one of these"
