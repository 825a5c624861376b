"""Where buffers lie that share one stretch of memory by lifetime: `arrange(buffers)`.

First fit is as good as its order. So several orders are tried, and buffers that reach highest are moved to the front, until
nothing lies above the most that is alive at one moment, or the rounds are over.
"""

from dataclasses import dataclass

ALIGNMENT = 4096
ROUNDS = 64
STEPS = 4_000_000  # comparisons of two buffers, over all rounds


@dataclass(frozen=True)
class Buffer:
    """A tensor in DRAM. role: one of memory.LAYOUTS. Alive from node `first` (-1: an input) to node `last`.

    last is len(nodes) for what is read after the run, and for constants, which live from -1.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    first: int
    last: int
    size: int  # bytes, without what fills up to ALIGNMENT

    @property
    def end(self) -> int:
        """Bytes with what fills up."""
        return aligned(self.size)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def lower_bound(buffers: list[Buffer]) -> int:
    """The most bytes that are alive at one node."""
    moments = {b.first for b in buffers}
    return max((sum(b.end for b in buffers if b.first <= t <= b.last) for t in moments), default=0)


def arrange(buffers: list[Buffer]) -> dict[str, int]:
    """Offsets by name, multiples of ALIGNMENT: buffers that live together do not overlap; few bytes in all."""
    least, best, order = lower_bound(buffers), None, []
    for key in (lambda b: (-b.size, b.first, b.name), lambda b: (b.size * (b.first - b.last - 1), b.name),
                lambda b: (b.first, b.name)):
        attempt = sorted(buffers, key=key)
        offsets = first_fit(attempt)
        if best is None or peak(buffers, offsets) < peak(buffers, best):
            best, order = offsets, attempt
    for _ in range(min(ROUNDS, STEPS // max(len(buffers), 1)**2)):
        if peak(buffers, best) == least:
            break
        highest = max(order, key=lambda b: offsets[b.name] + b.end)
        order = [highest, *(b for b in order if b is not highest)]
        offsets = first_fit(order)
        if peak(buffers, offsets) < peak(buffers, best):
            best = offsets
    return best


def peak(buffers: list[Buffer], offsets: dict[str, int]) -> int:
    """Bytes up to the end of the highest buffer."""
    return max((offsets[b.name] + b.end for b in buffers), default=0)


def first_fit(buffers: list[Buffer]) -> dict[str, int]:
    """Offsets by name: each buffer in turn at the lowest place that is free during its whole life."""
    placed: list[tuple[int, Buffer]] = []
    for buffer in buffers:
        offset = 0
        for start, other in placed:  # from low to high
            together = buffer.first <= other.last and other.first <= buffer.last
            if together and start < offset + buffer.end and offset < start + other.end:
                offset = start + other.end
        placed.append((offset, buffer))
        placed.sort(key=lambda p: p[0])
    return {buffer.name: offset for offset, buffer in placed}
