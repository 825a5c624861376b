"""A register that many cells read gets copies: on an FPGA, a wire to all corners takes most of a cycle.

Readers with like names, as those of a lane, lie near one another; each copy serves some of them. yosys makes one register of
all that are alike, so this comes after it. The enables of multipliers are left alone (see registers.py).
"""

import copy
import re
from collections import defaultdict

from .registers import FLIP_FLOP, MULTIPLIER

READERS = 64  # of a register, at most


def spread(module: dict, readers: int = READERS) -> int:
    """Changes `module`, of yosys's JSON, in place; returns how many registers were added."""
    cells, read_by = module["cells"], defaultdict(list)
    for name, cell in cells.items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input" and not (cell["type"] == MULTIPLIER and pin.startswith("CE")):
                for index, bit in enumerate(bits):
                    read_by[bit].append((name, pin, index))
    last = max((bit for port in module["ports"].values() for bit in port["bits"]), default=1)
    last = max(last, *(bit for cell in cells.values() for bits in cell["connections"].values() for bit in bits if isinstance(bit, int)))
    added = 0
    for name in [name for name, cell in cells.items() if cell["type"] == FLIP_FLOP]:
        bit, = cells[name]["connections"]["Q"]
        pins = sorted(read_by[bit], key=_natural)
        copies = -(-len(pins) // readers)
        for number in range(1, copies):
            last, added = last + 1, added + 1
            cells[f"{name}_copy_{number}"] = twin = copy.deepcopy(cells[name])
            twin["connections"]["Q"] = [last]
            for reader, pin, index in pins[len(pins) * number // copies:len(pins) * (number + 1) // copies]:
                cells[reader]["connections"][pin][index] = last
    return added


def _natural(place: tuple[str, str, int]):
    """Names in the order of the numbers in them."""
    name, *pin = place
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)], pin
