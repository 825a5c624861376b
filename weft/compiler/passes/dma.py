"""Copies as 2-D DMA: a box of elements with padding around becomes LOADs or STOREs that keep within their fields.

A copy is a nest of loops that step through the scratchpad and through DRAM; along each loop only a range of turns is inside
of the tensor. An instruction fills one dense block of rows. So the two innermost dimensions (after fusing what is
contiguous) become x and y, the others are spelled out, and padding that has no DRAM behind it, or more than the pad
fields hold, becomes fills: transfers of no rows with one row of padding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from weft.isa import Config, Opcode
from weft.isa.table import layouts


@dataclass(frozen=True)
class Dim:
    """A loop of a copy: turns [low, high) of `extent` copy, the others pad. Steps are in elements."""

    extent: int
    low: int
    high: int
    sram: int
    dram: int

    @property
    def padded(self) -> bool:
        return self.high - self.low < self.extent


@dataclass(frozen=True)
class Transfer:
    """One instruction: sram and dram are relative to the first element of the copy; pads are (y0, y1, x0, x1).

    Where y_size is 0 nothing is read, and `dram` means nothing.
    """

    sram: int
    dram: int
    y_size: int
    x_size: int
    x_stride: int
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def elements(self) -> int:
        """Elements of the scratchpad."""
        y0, y1, x0, x1 = self.pads
        return (y0 + self.y_size + y1) * (x0 + self.x_size + x1)


@dataclass(frozen=True)
class Limits:
    """The largest x_size, y_size, x_stride and pad."""

    x_size: int
    y_size: int
    x_stride: int
    pad: int

    @classmethod
    @lru_cache
    def of(cls, config: Config) -> "Limits":
        fields = layouts(config)[Opcode.LOAD].fields
        return cls(*(fields[name].bounds[1] for name in ("x_size", "y_size", "x_stride", "y_pad_0")))


_UNIT = Dim(1, 0, 1, 0, 0)


def transfers(dims: tuple[Dim, ...], limits: Limits) -> list[Transfer]:
    """The instructions that copy, and pad, all turns of `dims` (outermost first)."""
    return list(_copy(0, 0, _fuse(dims), limits)) if all(d.extent > 0 for d in dims) else []


def _fuse(dims: tuple[Dim, ...]) -> list[Dim]:
    """Dimensions by falling step in the scratchpad, with neighbours made one where both sides are contiguous."""
    repeated = [d for d in dims if d.sram == 0 and d.extent > 1]  # later turns overwrite: these stay outside, in order
    moving = sorted((d for d in dims if d.sram != 0 and (d.extent > 1 or d.padded)), key=lambda d: -d.sram)
    single = [d for d in dims if d.sram == 0 and d.extent == 1 and d.padded]
    fused: list[Dim] = []
    for d in moving:
        if fused and not d.padded and not fused[-1].padded and fused[-1].sram == d.extent * d.sram \
                and fused[-1].dram == d.extent * d.dram:
            outer = fused.pop()
            d = Dim(outer.extent * d.extent, 0, outer.extent * d.extent, d.sram, d.dram)
        fused.append(d)
    return single + repeated + fused


def _copy(sram: int, dram: int, dims: list[Dim], limits: Limits) -> Iterator[Transfer]:
    if any(d.high <= d.low for d in dims):
        yield from _fill(sram, dims, limits)
        return
    x, y, outer = _two(dims)
    if outer:
        first, rest = outer[0], outer[1:] + [d for d in (y, x) if d is not _UNIT]
        for turn in range(first.extent):
            if first.low <= turn < first.high:
                yield from _copy(sram + turn * first.sram, dram + turn * first.dram, rest, limits)
            else:
                yield from _fill(sram + turn * first.sram, rest, limits)
    else:
        yield from _rows(sram, dram, y, x, limits)


def _two(dims: list[Dim]) -> tuple[Dim, Dim, list[Dim]]:
    """(x, y, dims left over): x is dense on both sides, and rows of it lie densely in the scratchpad along y."""
    rest = list(dims)
    x = rest.pop() if rest and rest[-1].sram == 1 and (rest[-1].dram == 1 or rest[-1].high - rest[-1].low == 1) else _UNIT
    y = rest.pop() if rest and rest[-1].sram == x.extent else _UNIT
    return x, y, rest


def _rows(sram: int, dram: int, y: Dim, x: Dim, limits: Limits) -> Iterator[Transfer]:
    """One block of rows, cut where it exceeds a limit."""
    before, after = y.low, y.extent - y.high
    left, right = x.low, x.extent - x.high
    rows, size = y.high - y.low, x.high - x.low
    stride = y.dram if rows > 1 else size
    one_by_one = rows > 1 and not 0 <= stride <= limits.x_stride
    if max(left, right) > limits.pad or size > limits.x_size or one_by_one:
        for turn in range(y.extent):
            if y.low <= turn < y.high:
                yield from _row(sram + turn * x.extent, dram + turn * y.dram, x, limits)
            else:
                yield from _fill_run(sram + turn * x.extent, x.extent, limits)
        return
    top, bottom = max(before - limits.pad, 0), max(after - limits.pad, 0)
    yield from _fill_run(sram, top * x.extent, limits)
    row = top
    for begin in range(0, rows, limits.y_size):
        count = min(limits.y_size, rows - begin)
        pads = (before - top if begin == 0 else 0, after - bottom if begin + count == rows else 0, left, right)
        place = dram + (y.low + begin) * y.dram + x.low * x.dram
        yield Transfer(sram + row * x.extent, place, count, size, stride, pads)
        row += pads[0] + count + pads[1]
    yield from _fill_run(sram + row * x.extent, bottom * x.extent, limits)


def _row(sram: int, dram: int, x: Dim, limits: Limits) -> Iterator[Transfer]:
    left, right = max(x.low - limits.pad, 0), max(x.extent - x.high - limits.pad, 0)
    yield from _fill_run(sram, left, limits)
    at, size = left, x.high - x.low
    for begin in range(0, size, limits.x_size):
        count = min(limits.x_size, size - begin)
        pads = (0, 0, x.low - left if begin == 0 else 0, x.extent - x.high - right if begin + count == size else 0)
        yield Transfer(sram + at, dram + (x.low + begin) * x.dram, 1, count, count, pads)
        at += pads[2] + count + pads[3]
    yield from _fill_run(sram + at, right, limits)


def _fill(sram: int, dims: list[Dim], limits: Limits) -> Iterator[Transfer]:
    """Padding alone, for all turns of dims."""
    runs = _fuse(tuple(Dim(d.extent, 0, d.extent, d.sram, d.sram) for d in dims if d.sram))
    length = runs.pop().extent if runs and runs[-1].sram == 1 else 1
    starts = [sram]
    for d in runs:
        starts = [s + turn * d.sram for s in starts for turn in range(d.extent)]
    for start in starts:
        yield from _fill_run(start, length, limits)


def _fill_run(sram: int, length: int, limits: Limits) -> Iterator[Transfer]:
    for begin in range(0, length, limits.x_size):
        size = min(limits.x_size, length - begin)
        yield Transfer(sram + begin, 0, 0, size, size, (1, 0, 0, 0))
