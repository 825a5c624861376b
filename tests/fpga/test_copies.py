"""Copies of registers: nothing that can be seen at a port differs, and no register has more readers than it may."""

import copy
import random

from hypothesis import given
from hypothesis import strategies as st

from tests.fpga.test_registers import CLOCK, Netlist, Play, product_of
from weft.fpga.copies import spread
from weft.fpga.registers import FLIP_FLOP, MULTIPLIER, absorb


def fan_of(readers: int) -> Netlist:
    """A register that as many read, each into a register of its own."""
    netlist = Netlist()
    source, = netlist.registers("source", netlist.port("data", "input", netlist.bits()),
                                netlist.port("enable", "input", netlist.bits())[0])
    netlist.port("out", "output", [netlist.registers(f"reader_{number}", [source])[0] for number in range(readers)])
    return netlist


def readers_of(module) -> dict[int, list[str]]:
    """The cells that read a bit by a pin that is no clock."""
    found = {}
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                for bit in bits:
                    found.setdefault(bit, []).append(name)
    return found


@given(st.integers(1, 40), st.integers(1, 10), st.integers(0, 100))
def test_copies_do_as_the_original(readers, most, seed):
    netlist, draw = fan_of(readers), random.Random(seed)
    before = Play(copy.deepcopy(netlist.module))
    added = spread(netlist.module, most)
    assert added == -(-readers // most) - 1
    after = Play(netlist.module)
    for _ in range(12):
        inputs = {"data": draw.getrandbits(1), "enable": draw.getrandbits(1)}
        assert before.cycle(inputs) == after.cycle(inputs)
    read_by = readers_of(netlist.module)
    driven = [cell["connections"]["Q"][0] for cell in netlist.module["cells"].values() if cell["type"] == FLIP_FLOP]
    assert max(len(read_by.get(bit, [])) for bit in driven) <= most


def test_a_copy_serves_neighbours_by_name():
    netlist = fan_of(12)
    spread(netlist.module, 6)
    bit, = netlist.module["cells"]["source_0_copy_1"]["connections"]["Q"]
    assert sorted(readers_of(netlist.module)[bit]) == sorted(f"reader_{number}_0" for number in range(6, 12))


def test_enables_of_multipliers_are_left_alone():
    """Multipliers that share a block share their enables."""
    netlist = Netlist()
    enable = netlist.registers("enable", netlist.port("given", "input", netlist.bits()))
    factors = [netlist.port(side, "input", netlist.bits(4)) for side in "ab"]
    for number in range(3):
        netlist.port(f"p{number}", "output", product_of(netlist, f"p{number}", enable * 3, factors))
    absorb(netlist.module)
    assert spread(netlist.module, 2) == 0
    assert {bit for cell in netlist.module["cells"].values() if cell["type"] == MULTIPLIER
            for bit in cell["connections"]["CE0"]} == set(enable)


def test_clocks_and_what_pins_drive_are_left_alone():
    netlist = fan_of(5)
    spread(netlist.module, 1)
    assert len(readers_of(netlist.module)[CLOCK]) == 5 + 5
