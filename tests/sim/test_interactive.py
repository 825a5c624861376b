"""The RTL by hand, through PyVerilator's class."""

import sys

import numpy as np
import pytest

from tests.sim import copy_engine
from weft.isa import PRESETS, WeftError
from weft.isa.registers import REGISTERS
from weft.sim import interactive


def installed() -> bool:
    try:
        interactive._pyverilator()
    except WeftError:
        return False
    return True


needs_pyverilator = pytest.mark.skipif(not installed(), reason="pyverilator is not installed")


@pytest.fixture
def sim():
    return interactive.open(verilog=copy_engine.verilog(128), dram=np.arange(1 << 14, dtype=np.uint32).view(np.uint8))


def test_without_pyverilator(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyverilator", None)
    with pytest.raises(WeftError) as error:
        interactive.open()
    assert str(error.value) == ("weft.sim.interactive: the interactive simulation needs the package pyverilator 0.7, but found import "
                                "of pyverilator halted; None in sys.modules; try: `pip install --no-deps pyverilator==0.7.0`")


@needs_pyverilator
def test_it_is_pyverilators_class(sim):
    import pyverilator

    assert isinstance(sim, pyverilator.PyVerilator) and sim.module_name == "accelerator"
    assert sim.io.irq == 0 and "m_axi__araddr" in dir(sim.io) and "state" in dir(sim.internals)


@needs_pyverilator
def test_a_register_by_hand(sim):
    sim.io.s_axil__awaddr = REGISTERS["wgt_base"].offset
    sim.io.s_axil__wdata = 6
    sim.poke("s_axil__awvalid", 1)
    sim.poke("s_axil__wvalid", 1)
    assert sim.peek("s_axil__awready") == 1 and sim.peek("mode") == 0
    sim.clock.tick()
    assert sim.peek("mode") == sim.internals.mode == 6
    sim.poke("s_axil__awvalid", 0)
    sim.poke("s_axil__wvalid", 0)
    assert sim.read_register("wgt_base") == 6


@needs_pyverilator
def test_signals_wider_than_a_word(sim):
    sim.poke("m_axi__rdata", 1 << 127 | 5)
    assert sim.peek("m_axi__rdata") == 1 << 127 | 5


@needs_pyverilator
def test_dram_answers_ticks_and_cycles(sim):
    dram = np.arange(1 << 14, dtype=np.uint32).view(np.uint8).copy()
    sim.attach(dram)
    sim.reset()
    for name, value in {"insn_count": 2, "insn_address": 0, "out_base": 0x8000, "control": 1}.items():
        sim.write_register(name, value)
    for _ in range(60):
        sim.clock.tick()
    assert np.array_equal(dram[0x8000:0x8100], dram[:0x100]) and sim.io.irq == 0
    sim.run_cycles(60)
    assert np.array_equal(dram[0x8100:0x8200], dram[0x100:0x200]) and sim.io.irq == 1


@needs_pyverilator
def test_a_waveform_of_ticks_and_cycles(sim, tmp_path):
    sim.start_vcd_trace(tmp_path / "a.vcd")
    sim.clock.tick()
    sim.run_cycles(10)
    sim.stop_vcd_trace()
    sim.run_cycles(10)  # not in the file
    text = (tmp_path / "a.vcd").read_text()
    assert " state " in text and 22 <= text.count("\n#") <= 26


@needs_pyverilator
@pytest.mark.parametrize("call, message", [
    (lambda sim: sim.peek("stat"), "signal 'stat': a signal is a port or an internal signal of the Verilog, but found no such name; try: state"),
    (lambda sim: sim.poke("irq", 1), "signal 'irq': an output follows from the machine and cannot be set, but found an output; "
                                     "try: one of the inputs, or the register behind it"),
    (lambda sim: sim.poke("s_axil__awvalid", 2), "signal 's_axil__awvalid': a value has 1 bits, but found 2; try: a smaller value"),
])
def test_what_is_refused(sim, call, message):
    with pytest.raises(WeftError) as error:
        call(sim)
    assert str(error.value) == message


@needs_pyverilator
@pytest.mark.slow
def test_the_accelerator_itself():
    config = PRESETS["1x8x8"]
    sim = interactive.open(config, dram=np.zeros(1 << 14, np.uint8))
    assert sim.read_register("fingerprint") == int(config.fingerprint, 16) & 0xFFFFFFFF
    names = [".".join(path) for path in sim.all_signals]
    assert any(name.startswith("compute.") for name in names) and any(name.startswith("load.") for name in names)
