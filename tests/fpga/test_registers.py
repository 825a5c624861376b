"""Netlists before and after, played cycle by cycle: nothing that can be seen at a port differs."""

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.fpga.registers import ENABLES, FLIP_FLOP, MEMORY, MULTIPLIER, WIDTH, absorb

BITS = 4  # of a factor here; above it the sign is repeated
CLOCK = 2
MASK = (1 << 2 * WIDTH) - 1


class Netlist:
    """Builds a module as yosys writes it."""

    def __init__(self):
        self.module = {"ports": {"clk": {"direction": "input", "bits": [CLOCK]}}, "cells": {}}
        self.last = CLOCK

    def bits(self, count=1):
        self.last += count
        return list(range(self.last - count + 1, self.last + 1))

    def port(self, name, direction, bits):
        self.module["ports"][name] = {"direction": direction, "bits": bits}
        return bits

    def cell(self, name, kind, inputs, outputs, parameters):
        ways = {pin: "input" for pin in inputs} | {pin: "output" for pin in outputs}
        wires = {pin: [bit] for pin, bit in (inputs | outputs).items()}
        self.module["cells"][name] = {"type": kind, "parameters": parameters, "port_directions": ways, "connections": wires}

    def registers(self, name, data, enable="1", reset="0"):
        out = self.bits(len(data))
        for index, (before, after) in enumerate(zip(data, out)):
            self.cell(f"{name}_{index}", FLIP_FLOP, {"CLK": CLOCK, "CE": enable, "LSR": reset, "DI": before}, {"Q": after},
                      {"CLKMUX": "CLK", "CEMUX": "CE", "LSRMUX": "LSR", "REGSET": "RESET"})
        return out

    def multiplier(self, name, a, b):
        product = self.bits(2 * WIDTH)
        extended = {f"{side}{index}": bits[min(index, len(bits) - 1)] for side, bits in (("A", a), ("B", b))
                    for index in range(WIDTH)}
        self.cell(name, MULTIPLIER, extended, {f"P{index}": bit for index, bit in enumerate(product)}, {})
        return product

    def memory(self, name, address):
        word = self.bits(WIDTH)
        pins = {f"ADB{4 + index}": bit for index, bit in enumerate(address)} | {"CLKA": CLOCK, "CLKB": CLOCK, "OCEB": "1"}
        self.cell(name, MEMORY, pins, {f"DOB{index}": bit for index, bit in enumerate(word)},
                  {"DATA_WIDTH_A": "10010", "DATA_WIDTH_B": "10010", "REGMODE_B": "NOREG"})
        return word


class Play:
    """A netlist, cycle by cycle: registers and what they hold, and what follows from it."""

    def __init__(self, module):
        self.module, self.held = module, {}

    def cycle(self, inputs: dict) -> dict:
        """The outputs, and then a clock edge."""
        values = {"0": 0, "1": 1} | {bit: inputs[name] >> index & 1 for name, port in self.module["ports"].items()
                                     if port["direction"] == "input" and name != "clk"
                                     for index, bit in enumerate(port["bits"])}
        cells, edges = self.module["cells"], {}
        for name, cell in cells.items():  # what comes out of registers
            self._drive(name, cell, values)
        for name, cell in cells.items():
            if cell["type"] == MULTIPLIER and not cell["parameters"].get("REG_OUTPUT_CLK"):
                self._put(cell, "P", self._product(name, cell, values), values)
        for name, cell in cells.items():
            edges |= self._edge(name, cell, values)
        self.held |= edges
        return {name: sum(values[bit] << index for index, bit in enumerate(port["bits"]))
                for name, port in self.module["ports"].items() if port["direction"] == "output"}

    def _drive(self, name, cell, values):
        if cell["type"] == FLIP_FLOP:
            values[cell["connections"]["Q"][0]] = self.held.get(name, 0)
        elif cell["type"] == MEMORY:
            self._put(cell, "DOB", self.held.get((name, "OUT" if cell["parameters"]["REGMODE_B"] == "OUTREG" else "READ"),
                                                 0), values)
        elif cell["parameters"].get("REG_OUTPUT_CLK"):
            self._put(cell, "P", self.held.get((name, "P"), 0), values)

    def _put(self, cell, pin, number, values):
        for index in range(2 * WIDTH):
            if f"{pin}{index}" in cell["connections"]:
                values[cell["connections"][f"{pin}{index}"][0]] = number >> index & 1

    def _read(self, cell, pin, values):
        number = sum(values[cell["connections"][f"{pin}{index}"][0]] << index for index in range(WIDTH))
        return number - (number >> WIDTH - 1 << WIDTH)

    def _product(self, name, cell, values):
        a, b = (self.held.get((name, side), 0) if cell["parameters"].get(f"REG_INPUT{side}_CLK")
                else self._read(cell, side, values) for side in "AB")
        return a * b & MASK

    def _edge(self, name, cell, values):
        wires, settings = cell["connections"], cell["parameters"]
        on = {pin: values[bit] for pin, (bit, *_) in wires.items() if bit in values}
        if cell["type"] == FLIP_FLOP:
            return {name: 0} if on["LSR"] else {name: on["DI"]} if on["CE"] else {}
        if cell["type"] == MEMORY:
            address = sum(bit << int(pin[3:]) for pin, bit in on.items() if pin.startswith("ADB"))
            takes = settings["REGMODE_B"] == "OUTREG" and on["OCEB"]
            out = {(name, "OUT"): self.held.get((name, "READ"), 0)} if takes else {}
            return {(name, "READ"): address * 77 + 5 & (1 << WIDTH) - 1} | out
        numbers = {"A": lambda: self._read(cell, "A", values), "B": lambda: self._read(cell, "B", values),
                   "P": lambda: self._product(name, cell, values)}
        registers = {"A": "REG_INPUTA", "B": "REG_INPUTB", "P": "REG_OUTPUT"}
        return {(name, side): number() for side, number in numbers.items()
                if settings.get(f"{registers[side]}_CLK") and on[settings[f"{registers[side]}_CE"]]}


def alike(module, cycles=24, seed=1) -> dict:
    """Absorbs, and returns how many flip-flops; fails where an output differs in a cycle."""
    before, draw = Play(copy.deepcopy(module)), random.Random(seed)
    done, after = absorb(module), Play(module)
    widths = {name: len(port["bits"]) for name, port in module["ports"].items() if port["direction"] == "input"
              and name != "clk"}
    for cycle in range(cycles):
        inputs = {name: draw.getrandbits(width) for name, width in widths.items()}
        assert before.cycle(inputs) == after.cycle(inputs), cycle
    return done


def product_of(netlist, name, enables, factors, *, reset="0"):
    """A product of registered factors, registered; an enable each."""
    a, b = (netlist.registers(f"{name}_{side}", bits, enable, reset) for side, bits, enable in zip("ab", factors, enables))
    return netlist.registers(f"{name}_p", netlist.multiplier(name, a, b)[:2 * BITS], enables[2])


def two_factors(netlist):
    return [netlist.port(side, "input", netlist.bits(BITS)) for side in "ab"]


def test_all_registers_of_a_product_go_inside():
    netlist = Netlist()
    factors, enables = two_factors(netlist), netlist.port("enables", "input", netlist.bits(3))
    netlist.port("p", "output", product_of(netlist, "product", enables, factors))
    assert alike(netlist.module) == {MULTIPLIER: 4 * BITS}
    assert [cell["type"] for cell in netlist.module["cells"].values()] == [MULTIPLIER]


def test_a_factor_that_others_read_is_doubled():
    netlist = Netlist()
    a, b = two_factors(netlist)
    held = netlist.registers("a", a)
    product = netlist.multiplier("product", held, netlist.registers("b", b))
    netlist.port("p", "output", netlist.registers("p", product[:BITS]))
    netlist.port("seen", "output", held)
    assert alike(netlist.module) == {MULTIPLIER: 2 * BITS}
    assert netlist.module["cells"]["product"]["parameters"]["REG_INPUTA_CLK"] == "CLK0"


def test_a_product_that_others_read_keeps_its_register_outside():
    netlist = Netlist()
    product = netlist.multiplier("product", *(netlist.registers(side, bits)
                                              for side, bits in zip("ab", two_factors(netlist))))
    netlist.port("p", "output", netlist.registers("p", product[:BITS]))
    netlist.port("seen", "output", product[:BITS])
    assert alike(netlist.module) == {MULTIPLIER: 2 * BITS}


def test_both_factors_or_none():
    netlist = Netlist()
    a, b = two_factors(netlist)
    netlist.port("p", "output", netlist.multiplier("product", netlist.registers("a", a), b)[:BITS])
    assert alike(netlist.module) == {}


def test_registers_with_a_reset_stay_outside():
    netlist = Netlist()
    factors, reset = two_factors(netlist), netlist.port("reset", "input", netlist.bits())
    netlist.port("p", "output", product_of(netlist, "product", "111", factors, reset=reset[0]))
    assert alike(netlist.module) == {MULTIPLIER: 2 * BITS}  # only those of the product, which have none


def test_a_block_has_four_enables():
    """Which multipliers share a block is not known, so that one more enable stays outside, in all of them."""
    netlist = Netlist()
    factors, enables = two_factors(netlist), netlist.port("enables", "input", netlist.bits(ENABLES + 1))
    for number in range(2):  # twice, so that the fifth is the rarest
        netlist.port(f"p{number}", "output", product_of(netlist, f"p{number}", enables[:3], factors))
        netlist.port(f"q{number}", "output", product_of(netlist, f"q{number}", [enables[3]] * 3, factors))
    netlist.port("r", "output", product_of(netlist, "r", [enables[4]] * 3, factors))
    assert alike(netlist.module) == {MULTIPLIER: 4 * 4 * BITS}
    numbers = {}
    for cell in netlist.module["cells"].values():
        if cell["type"] == MULTIPLIER:
            for number in range(ENABLES):
                numbers.setdefault(number, set()).update(cell["connections"].get(f"CE{number}", []))
    assert all(len(nets) == 1 for nets in numbers.values())


@pytest.mark.parametrize("others", [False, True])
def test_a_register_behind_a_memory_goes_inside(others):
    netlist = Netlist()
    address, enable = netlist.port("address", "input", netlist.bits(5)), netlist.port("enable", "input", netlist.bits())
    word = netlist.memory("memory", address)
    netlist.port("word", "output", netlist.registers("word", word, enable[0]))
    if others:
        netlist.port("seen", "output", word[:1])
    assert alike(netlist.module) == ({} if others else {MEMORY: WIDTH})
    assert netlist.module["cells"]["memory"]["parameters"]["REGMODE_B"] == ("NOREG" if others else "OUTREG")


@given(st.data())
def test_nothing_seen_differs(data):
    """Chains of memories, registers and products, some of them shared, with any enables."""
    netlist = Netlist()
    sources = [*two_factors(netlist), netlist.memory("memory", netlist.port("address", "input", netlist.bits(5)))[:BITS]]
    enables = ["1", *netlist.port("enables", "input", netlist.bits(3))]
    for number in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["register", "product"]))
        first, second = data.draw(st.sampled_from(sources)), data.draw(st.sampled_from(sources))
        if kind == "register":
            sources.append(netlist.registers(f"r{number}", first[:BITS], data.draw(st.sampled_from(enables))))
        else:
            a, b = (netlist.registers(f"{side}{number}", bits, data.draw(st.sampled_from(enables)))
                    for side, bits in (("a", first), ("b", second)))
            sources.append(netlist.registers(f"p{number}", netlist.multiplier(f"m{number}", a, b)[:BITS],
                                             data.draw(st.sampled_from(enables))))
    for number, bits in enumerate(sources):
        if data.draw(st.booleans()):
            netlist.port(f"out{number}", "output", bits)
    alike(netlist.module, seed=data.draw(st.integers(0, 1000)))
