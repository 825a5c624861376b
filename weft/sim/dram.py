"""How DRAM behaves beside a device with a clock: the same on RTL and in the exact model."""

from dataclasses import dataclass

PAGE = 4096  # bytes; such DRAM is whole pages: no burst ends outside because of its last beat


@dataclass(frozen=True)
class Timing:
    """The DRAM's behaviour, in cycles of the accelerator.

    latency: a read's first beat shows 1 + latency cycles after its request was taken.
    write_latency: a write's response shows 1 + write_latency cycles after its last beat was taken.
    bandwidth: beats a cycle in each direction, above 0 and up to 1.
    outstanding: requests in each direction that are taken before one is answered.
    stall_seed: not None: every channel stalls at random, reads of different ids overtake one another.
    """

    latency: int = 16
    write_latency: int = 0
    bandwidth: float = 1.0
    outstanding: int = 64
    stall_seed: int | None = None


def whole_pages(size: int) -> int:
    """Bytes of the pages that hold `size` bytes."""
    return -(-size // PAGE) * PAGE
