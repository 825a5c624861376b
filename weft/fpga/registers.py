"""Registers before and behind a multiplier or a block RAM become those that it has inside: yosys maps an ECP5's without
them.

The same cycles, as the hardware describes them, but no wires between the register and what it belongs to. Works on the
netlist that yosys has written for nextpnr.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

MULTIPLIER, MEMORY, FLIP_FLOP = "MULT18X18D", "DP16KD", "TRELLIS_FF"
WIDTH = 18  # of a factor, and of a port of a block RAM
FACTORS, PORTS = ("A", "B"), ("A", "B")
REGISTERS = {**{factor: (f"REG_INPUT{factor}", [f"{factor}{index}" for index in range(WIDTH)]) for factor in FACTORS},
             "P": ("REG_OUTPUT", [f"P{index}" for index in range(2 * WIDTH)])}
"""Of a multiplier: name, and the pins before or behind it."""
ENABLES = 4
"""CE0 to CE3 are wires of a block of multipliers, and which ones will share a block is not known before they are placed. So
a number means the same enable in all of them, and registers with other enables stay outside."""


class _Netlist:
    """Who drives a bit, and who reads it: names of cells, and pins."""

    def __init__(self, module: dict):
        self.cells, self.driver, self.readers = module["cells"], {}, defaultdict(set)
        self.ports = {bit for port in module["ports"].values() for bit in port["bits"]}
        for name, cell in self.cells.items():
            for pin, bits in cell["connections"].items():
                for bit in (bit for bit in bits if isinstance(bit, int)):
                    if cell["port_directions"][pin] == "output":
                        self.driver[bit] = (name, pin)
                    else:
                        self.readers[bit].add((name, pin))

    def read(self, name: str, pin: str, bit):
        """From now on, this pin of a cell reads another bit."""
        before, = self.cells[name]["connections"][pin]
        self.readers[before].discard((name, pin))
        self.readers[bit].add((name, pin))
        self.cells[name]["connections"][pin] = [bit]

    def remove(self, name: str):
        for pin, (bit, *_) in self.cells.pop(name)["connections"].items():
            self.readers[bit].discard((name, pin))

    def register(self, name: str) -> tuple | None:
        """(clock, enable) of a flip-flop that has no reset; None of anything else."""
        cell = self.cells[name]
        if cell["type"] != FLIP_FLOP:
            return None
        wires, settings = cell["connections"], cell["parameters"]
        plain = wires.get("LSR", ["0"]) == ["0"] and settings["CLKMUX"] == "CLK" and settings["CEMUX"] in ("CE", "1") \
            and settings["REGSET"] == "RESET" and "DI" in wires
        return (wires["CLK"][0], wires.get("CE", ["1"])[0] if settings["CEMUX"] == "CE" else "1") if plain else None

    def before(self, bits: Iterable) -> tuple[set[str], tuple] | None:
        """(names, (clock, enable)) of the flip-flops that drive these bits, constant zeros apart."""
        if not all(bit in self.driver or bit == "0" for bit in bits):
            return None
        return self._alike({self.driver[bit][0] for bit in bits if bit != "0"})

    def behind(self, bits: Iterable) -> tuple[set[str], tuple] | None:
        """The same of those that alone read these bits, each at its data input."""
        readers = [self.readers.get(bit, set()) for bit in bits]
        if any(len(each) > 1 or any(pin != "DI" for _, pin in each) for each in readers) or self.ports.intersection(bits):
            return None
        return self._alike({name for each in readers for name, _ in each})

    def is_unread(self, name: str) -> bool:
        bit, = self.cells[name]["connections"]["Q"]
        return not self.readers[bit] and bit not in self.ports

    def _alike(self, names):
        kinds = {self.register(name) for name in names}
        return (names, kinds.pop()) if len(kinds) == 1 and None not in kinds else None


def absorb(module: dict) -> Counter:
    """Changes `module`, of yosys's JSON, in place; returns how many flip-flops went into cells of a type, by type.

    A register before a multiplier is taken in though others read it: then it is doubled. One behind something is taken in
    where nothing else reads that.
    """
    netlist, done = _Netlist(module), Counter()
    multipliers, memories = ([name for name, cell in module["cells"].items() if cell["type"] == kind]
                             for kind in (MULTIPLIER, MEMORY))
    wanted = Counter(found[1][1] for name in multipliers for side in REGISTERS if (found := _found(netlist, name, side)))
    enables = {enable: number for number, (enable, _) in enumerate(wanted.most_common(ENABLES))}
    for kind, names, take in ((MULTIPLIER, multipliers, _take_factors), (MULTIPLIER, multipliers, _take_product),
                              (MEMORY, memories, _take_words)):
        for name in names:
            taken = take(netlist, name, enables)
            for flip_flop in taken:
                netlist.remove(flip_flop)
            done[kind] += len(taken)
    return Counter({kind: count for kind, count in done.items() if count})


def _found(netlist, name, side):
    """(names, (clock, enable)) of the flip-flops before a factor or behind the product; None if they are not alike."""
    bits = [netlist.cells[name]["connections"][pin][0] for pin in REGISTERS[side][1]]
    return netlist.before(bits) if side in FACTORS else netlist.behind(bits)


def _take_factors(netlist, name, enables) -> set[str]:
    """Both factors or none: nextpnr knows the timing of no other multiplier."""
    both, emptied = {side: _found(netlist, name, side) for side in FACTORS}, set()
    if not all(found and found[1][1] in enables for found in both.values()):
        return emptied
    for side, found in both.items():
        for pin in REGISTERS[side][1]:
            bit, = netlist.cells[name]["connections"][pin]
            if bit != "0":
                netlist.read(name, pin, netlist.cells[netlist.driver[bit][0]]["connections"]["DI"][0])
        _turn_on(netlist, name, side, found[1], enables)
        emptied |= {flip_flop for flip_flop in found[0] if netlist.is_unread(flip_flop)}
    return emptied


def _take_product(netlist, name, enables) -> set[str]:
    found = _found(netlist, name, "P")
    if not found or found[1][1] not in enables:
        return set()
    _skip(netlist, name, REGISTERS["P"][1])
    _turn_on(netlist, name, "P", found[1], enables)
    return found[0]


def _take_words(netlist, name, enables) -> set[str]:
    """Of a block RAM, of which port A writes and B reads; a word that is wider than a port leaves by both. nextpnr knows the
    timing of two ports alike, so that A gets a register as well, though nothing leaves by it."""
    cell = netlist.cells[name]
    wide = any(int(cell["parameters"][f"DATA_WIDTH_{port}"], 2) > WIDTH for port in PORTS)
    pins = {port: [pin for index in range(WIDTH) if (pin := f"DO{port}{index}") in cell["connections"]] for port in PORTS}
    if not wide and any(netlist.readers.get(cell["connections"][pin][0]) for pin in pins["A"]):
        return set()
    read = pins["A"] + pins["B"] if wide else pins["B"]
    found = netlist.behind([cell["connections"][pin][0] for pin in read])
    if not found or [found[1][0]] != cell["connections"]["CLKB"]:
        return set()
    _skip(netlist, name, read)
    for port in PORTS:
        cell["parameters"][f"REGMODE_{port}"] = "OUTREG"
        cell["connections"][f"OCE{port}"] = [found[1][1]]
        cell["port_directions"][f"OCE{port}"] = "input"
    return found[0]


def _skip(netlist, name, pins):
    """What these pins drive is from now on what the flip-flops behind them drove."""
    wires = netlist.cells[name]["connections"]
    for pin in pins:
        for reader, _ in netlist.readers.get(wires.get(pin, [None])[0], ()):
            wires[pin] = netlist.cells[reader]["connections"]["Q"]


def _turn_on(netlist, name, side, kind, enables):
    """A register of a multiplier, with the clock and the enable of `kind`."""
    (clock, enable), (register, _), cell = kind, REGISTERS[side], netlist.cells[name]
    number = enables[enable]
    cell["parameters"] |= {f"{register}_CLK": "CLK0", f"{register}_CE": f"CE{number}", f"{register}_RST": "RST0"}
    for pin, bit in (("CLK0", clock), (f"CE{number}", enable), ("RST0", "0")):
        cell["connections"][pin] = [bit]
        cell["port_directions"][pin] = "input"
        netlist.readers[bit].add((name, pin))
