"""How many positions and how many vectors of output channels a kernel of products sums at a time, in registers."""

from dataclasses import dataclass

from weft.llvm.machine import Form

from .kernel import LANES

LATENCY = 10  # sums at a time that keep the multipliers of a CPU busy: two a cycle, five cycles each
LOADS = 2  # vectors that a CPU reads in a cycle, and that it multiplies
SETUP = 6  # cycles around the innermost loop, a tile
WORKING, WIDENED = 1, 6  # registers beside sums; where bytes are widened before they are multiplied


@dataclass(frozen=True)
class Tile:
    """positions: neighbours along a row of outputs. vectors: of LANES channels."""

    positions: int
    vectors: int


def registers(form: Form) -> int:
    """Registers that LANES sums of 32 bits take."""
    return -(-LANES * 32 // form.vector_bits)


def choose(form: Form, positions: int, vectors: int, depth: int, of_bytes: bool) -> Tile:
    """The tile of the fewest estimated cycles for a row of so many positions, and so many vectors of channels.

    depth: steps of products in the innermost sum. of_bytes: whether bytes are multiplied, or float32.
    """
    each = registers(form)
    most = max(2, (form.vectors - (WIDENED if of_bytes and form.dot != "vpdpbusd" else WORKING)) // each)
    best, fewest = Tile(1, 1), None
    for v in (1, 2, 3, 4, 6, 8):
        if v > vectors:
            break
        for p in range(1, min(positions, most) + 1):
            if v * p + v + 1 > most + (each > 1) and (v, p) != (1, 1):
                break
            cycles = sum(count_p * count_v * _cycles(size_p, size_v, each, depth)
                         for count_p, size_p in _pieces(positions, p) for count_v, size_v in _pieces(vectors, v))
            if fewest is None or cycles < fewest:
                best, fewest = Tile(p, v), cycles
    return best


def _pieces(extent: int, size: int) -> list[tuple[int, int]]:
    """(how many, of which size): whole ones, and the rest."""
    return [(extent // size, size)] * (extent >= size) + [(1, extent % size)] * (extent % size > 0)


def _cycles(positions: int, vectors: int, each: int, depth: int) -> float:
    products = positions * vectors * each
    return depth * max(products, LATENCY, positions + vectors * each) / LOADS + SETUP + 4 * products
