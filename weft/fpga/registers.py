"""Registers before and behind a multiplier or a block RAM become those that it has inside: yosys maps an ECP5's without them.

The same cycles, as the hardware describes them, but no wires between the register and what it belongs to. Works on the
netlist that yosys has written for nextpnr.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

MULTIPLIER, MEMORY, FLIP_FLOP = "MULT18X18D", "DP16KD", "TRELLIS_FF"
WIDTH = 18  # of a factor, and of a port of a block RAM
INPUTS, OUTPUT, MEMORY_PORTS = ("A", "B"), "P", ("A", "B")
CLOCK, ENABLES = "CLK0", {"A": "0", "B": "1", "P": "2"}  # a multiplier has four clocks and four enables; each register may take any


class _Netlist:
    """Who drives a bit, and who reads it."""

    def __init__(self, module: dict):
        self.cells, self.driver, self.readers = module["cells"], {}, defaultdict(list)
        self.ports = {bit for port in module["ports"].values() for bit in port["bits"]}
        for name, cell in self.cells.items():
            for port, (bit, *_) in cell["connections"].items():
                if not isinstance(bit, int):
                    continue
                if cell["port_directions"][port] == "output":
                    self.driver[bit] = (name, port)
                else:
                    self.readers[bit].append((name, port))

    def register(self, name: str) -> tuple | None:
        """(clock, enable) of a flip-flop that has no reset; None of anything else."""
        cell = self.cells.get(name)  # gone: it is in a multiplier
        if cell is None or cell["type"] != FLIP_FLOP:
            return None
        wires, settings = cell["connections"], cell["parameters"]
        plain = wires.get("LSR", ["0"]) == ["0"] and settings["CLKMUX"] == "CLK" and settings["CEMUX"] in ("CE", "1") \
            and settings["REGSET"] == "RESET" and "DI" in wires
        return (wires["CLK"][0], wires.get("CE", ["1"])[0] if settings["CEMUX"] == "CE" else "1") if plain else None

    def before(self, bits: Iterable) -> tuple[set[str], tuple] | None:
        """(names, (clock, enable)) of the flip-flops that alone drive these bits, constant zeros apart."""
        names = {self.driver.get(bit, (None,))[0] for bit in bits if bit != "0"}
        return self._alike(names) if all(isinstance(bit, int) or bit == "0" for bit in bits) else None

    def behind(self, bits: Iterable) -> tuple[set[str], tuple] | None:
        """The same of those that alone read these bits, each at its data input."""
        readers = [self.readers[bit] for bit in bits if isinstance(bit, int)]
        if any(len(each) > 1 or each and each[0][1] != "DI" for each in readers) or any(bit in self.ports for bit in bits):
            return None
        return self._alike({each[0][0] for each in readers if each})

    def _alike(self, names):
        kinds = {self.register(name) if name else None for name in names}
        return (names, kinds.pop()) if len(kinds) == 1 and None not in kinds else None


def absorb(module: dict) -> Counter:
    """Changes `module`, of yosys's JSON, in place; returns how many flip-flops went into cells of a type, by type.

    A register before a multiplier is taken in where nothing but multipliers reads it, so that a shared one is doubled; one behind
    something where nothing else reads that.
    """
    done, netlist = Counter(), _Netlist(module)
    for cell in list(module["cells"].values()):
        emptied = set()
        if cell["type"] == MULTIPLIER:
            emptied = set().union(*(_take_input(netlist, cell, side) for side in INPUTS), _take_product(netlist, cell))
        elif cell["type"] == MEMORY:
            emptied = _take_words(netlist, cell)
        for name in emptied:
            del module["cells"][name]
        done[cell["type"]] += len(emptied)
    return Counter({kind: count for kind, count in done.items() if count})


def _take_input(netlist, cell, side) -> set[str]:
    wires = cell["connections"]
    bits = {f"{side}{index}": wires[f"{side}{index}"][0] for index in range(WIDTH)}
    found = netlist.before(bits.values())
    if not found:
        return set()
    names, kind = found
    outputs = {netlist.cells[name]["connections"]["Q"][0] for name in names}
    if any(netlist.cells[reader]["type"] != MULTIPLIER for bit in outputs for reader, _ in netlist.readers[bit]) or outputs & netlist.ports:
        return set()
    for port, bit in bits.items():
        if bit != "0":
            wires[port] = netlist.cells[netlist.driver[bit][0]]["connections"]["DI"]
    _set(cell, f"REG_INPUT{side}", side, kind)
    return {name for name in names if _is_free(netlist, name)}


def _is_free(netlist, name):
    """Whether no multiplier reads this flip-flop any longer."""
    bit, = netlist.cells[name]["connections"]["Q"]
    return all(netlist.cells[reader]["connections"][port] != [bit] for reader, port in netlist.readers[bit])


def _take_product(netlist, cell) -> set[str]:
    found = _take_outputs(netlist, cell, [f"{OUTPUT}{index}" for index in range(2 * WIDTH)])
    if not found:
        return set()
    names, kind = found
    _set(cell, "REG_OUTPUT", OUTPUT, kind)
    return names


def _take_outputs(netlist, cell, ports):
    wires = cell["connections"]
    bits = {port: wires[port][0] for port in ports if port in wires}
    found = netlist.behind(bits.values())
    if found:
        for port, bit in bits.items():
            for reader, _ in netlist.readers.get(bit, ()):
                wires[port] = netlist.cells[reader]["connections"]["Q"]
    return found


def _take_words(netlist, cell) -> set[str]:
    """Of a block RAM: one port writes and one reads, and a word that is wider than a port leaves by both."""
    wide = any(int(cell["parameters"][f"DATA_WIDTH_{port}"], 2) > WIDTH for port in MEMORY_PORTS)
    emptied = set()
    for port in MEMORY_PORTS[1:] if wide else MEMORY_PORTS:
        outputs = [f"DO{way}{index}" for way in (MEMORY_PORTS if wide else port) for index in range(WIDTH)]
        found = _take_outputs(netlist, cell, outputs)
        if found:
            names, (clock, enable) = found
            if [clock] != cell["connections"][f"CLK{port}"]:
                raise ValueError(f"{names} and their memory have different clocks")
            cell["parameters"][f"REGMODE_{port}"] = "OUTREG"
            cell["connections"][f"OCE{port}"] = [enable]
            emptied |= names
    return emptied


def _set(cell, register, side, kind):
    """Turns a register of a multiplier on: (clock, enable)."""
    clock, enable = kind
    number = ENABLES[side]
    cell["parameters"] |= {f"{register}_CLK": CLOCK, f"{register}_CE": f"CE{number}", f"{register}_RST": "RST0"}
    for port, bit in ((CLOCK, clock), (f"CE{number}", enable), ("RST0", "0")):
        cell["connections"][port] = [bit]
        cell["port_directions"][port] = "input"
