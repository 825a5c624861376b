"""A register that many cells read gets copies: on an FPGA, a wire to all corners takes most of a cycle.

What leads to registers with like names, as those of a lane, will lie near one another; each copy serves some of it. yosys
makes one register of all that are alike, so this comes after it. The enables of multipliers are left alone (see
registers.py).
"""

import copy
import re
from collections import defaultdict

from .registers import FLIP_FLOP, MULTIPLIER

READERS = 32  # of a register, at most
LOGIC = ("LUT4", "PFUMX", "L6MUX21", "CCU2C")
LEVELS = 6  # of logic that is followed


def spread(module: dict, readers: int = READERS) -> int:
    """Changes `module`, of yosys's JSON, in place; returns how many registers were added."""
    cells, read_by, order = module["cells"], _readers(module), _Order(module)
    last = max(bit for cell in cells.values() for bits in cell["connections"].values() for bit in bits
               if isinstance(bit, int))
    added = 0
    for name in [name for name, cell in cells.items() if cell["type"] == FLIP_FLOP]:
        bit, = cells[name]["connections"]["Q"]
        copies = -(-len(read_by[bit]) // readers)
        if copies < 2:
            continue
        pins = sorted(read_by[bit], key=lambda place: (order.of(place[0]), place))
        for number in range(1, copies):
            last, added = last + 1, added + 1
            cells[f"{name}_copy_{number}"] = twin = copy.deepcopy(cells[name])
            twin["connections"]["Q"] = [last]
            for reader, pin, index in pins[len(pins) * number // copies:len(pins) * (number + 1) // copies]:
                cells[reader]["connections"][pin][index] = last
    return added


def _readers(module) -> dict[int, list[tuple[str, str, int]]]:
    """Who reads a bit: cells, their pins, and which bit of the pin."""
    read_by = defaultdict(list)
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input" and not (cell["type"] == MULTIPLIER and pin.startswith("CE")):
                for index, bit in enumerate(bits):
                    read_by[bit].append((name, pin, index))
    return read_by


class _Order:
    """Cells in the order of names and of the numbers in them: those of what their logic leads to, as only registers and
    memories are named in the hardware."""

    def __init__(self, module):
        self.cells, self.read_by, self.known = module["cells"], _readers(module), {}

    def of(self, name: str) -> list:
        if name not in self.known:
            end = name
            for _ in range(LEVELS):
                if self.cells[end]["type"] not in LOGIC:
                    break
                end = next((reader for pin, bits in self.cells[end]["connections"].items()
                            if self.cells[end]["port_directions"][pin] == "output" for bit in bits
                            for reader, *_ in self.read_by[bit]), end)
            self.known[name] = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", end)]
        return self.known[name]
