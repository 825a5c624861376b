"""The GEMM core: every row of an INP element times every row of a WGT element, in one step; and the windows that DEPTHWISE
multiplies in the place of INP's rows."""

from amaranth import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa.table import MAX_TAPS

from .loops import TAP_BITS

TERMS = 2  # products that are added in the cycle after their own: a multiplier's register is slow to read
WORD_BITS = 64  # widest word of INP and WGT memories


def row_words(config) -> tuple[int, int]:
    """(words a row of block_in lanes takes, bits a word)."""
    bits = config.block_in * config.inp_bits
    return max(1, bits // WORD_BITS), min(bits, WORD_BITS)


def tap_words(config) -> tuple[int, int]:
    """(words a window of max_taps lanes takes, bits a word)."""
    _, bits = row_words(config)
    return max_taps(config) * config.inp_bits // bits, bits


def balanced_sum(terms):
    """The sum of a list of values as a tree."""
    while len(terms) > 1:
        terms = [sum(terms[i:i + 2][1:], terms[i]) for i in range(0, len(terms), 2)]
    return terms[0]


def sum_bits(config) -> int:
    """Bits of a dot product of two rows."""
    return config.inp_bits + config.wgt_bits + exact_log2(config.block_in)


def max_taps(config) -> int:
    """The widest window of DEPTHWISE that this machine has."""
    return min(MAX_TAPS, config.block_in)


class Operands(wiring.Component):
    """The GEMM core's first operands, a register a lane: INP's row, the same in all; or DEPTHWISE's windows, the last
    elements of INP of every lane, the newest at tap `taps` - 1 and 0 above it. A row takes a window's place: a window is
    filled before it is used.

    Members
    -------
    prepare: the next cycle may slide windows of `taps`. enters: what is in `inp`, a register, enters in this cycle, as a row
    or, with `slides`, as the newest element of each window.
    lanes: the operand of lane b * block_out + o as words, a cycle later.
    """

    def __init__(self, config):
        self.config = config
        words, bits = row_words(config)
        super().__init__({"prepare": In(1), "enters": In(1), "slides": In(1), "taps": In(TAP_BITS),
                          "inp": In(bits).array(config.batch * words),
                          "lanes": Out(bits).array(config.batch * config.block_out * words)})

    def elaborate(self, platform):
        m = Module()
        config, (words, bits), (tap_count, tap_bits) = self.config, row_words(self.config), tap_words(self.config)
        keeps, takes = self._masks(m, tap_count, tap_bits)
        for b in range(config.batch):
            row = self.inp[b * words:(b + 1) * words]
            for o, element in enumerate(row_lanes(config, self.inp, b)):
                first = (b * config.block_out + o) * words
                held = [Signal(bits, name=f"held_{b}_{o}_{word}", reset_less=True) for word in range(words)]
                m.d.comb += [its.eq(mine) for its, mine in zip(self.lanes[first:first + words], held)]
                with m.If(self.enters):
                    with m.If(self.slides):
                        above = [*(word[:config.inp_bits] for word in held[1:tap_count]), Const(0, config.inp_bits)]
                        m.d.sync += [held[word].eq(Cat(held[word][config.inp_bits:tap_bits], above[word]) & keeps[word]
                                                   | element.replicate(tap_bits // config.inp_bits) & takes[word])
                                     for word in range(tap_count)]
                        m.d.sync += [word.eq(0) for word in held[tap_count:]]
                    with m.Else():
                        m.d.sync += [mine.eq(its) for mine, its in zip(held, row)]
        return m

    def _masks(self, m, words, bits):
        """Of the taps that take their neighbour's element, and of the one that takes the new one; as words."""
        width, count = self.config.inp_bits, max_taps(self.config)
        keeps, takes = ([Signal(bits, name=f"{name}_{word}", reset_less=True) for word in range(words)]
                        for name in ("keeps", "takes"))
        with m.If(self.prepare):
            m.d.sync += [Cat(keeps).eq(Cat((self.taps > tap + 1).replicate(width) for tap in range(count))),
                         Cat(takes).eq(Cat((self.taps == tap + 1).replicate(width) for tap in range(count)))]
        return keeps, takes


class DotProducts(wiring.Component):
    """sums[b * block_out + o] = operand b * block_out + o times wgt row o.

    Factors, products, parts of sums and sums are registers, each of a cycle; the first two are those that an FPGA's
    multipliers have inside.

    Members
    -------
    takes: the operands are there. multiplies, adds, totals: what was taken a cycle, two, three cycles before.
    operands: as `lanes` of Operands. wgt: an element as words, row by row. sums: four cycles after `takes`.
    """

    def __init__(self, config):
        self.config = config
        self.lanes = lanes = config.batch * config.block_out
        words, bits = row_words(config)
        super().__init__({"takes": In(1), "multiplies": In(1), "adds": In(1), "totals": In(1),
                          "operands": In(bits).array(lanes * words),
                          "wgt": In(bits).array(config.block_out * words),
                          "sums": Out(signed(sum_bits(config))).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        words, bits = row_words(config)
        operands, wgt = ([Signal(bits, name=f"{name}_{index}", reset_less=True) for index in range(count * words)]
                         for name, count in (("operand", self.lanes), ("wgt", config.block_out)))
        with m.If(self.takes):
            m.d.sync += [mine.eq(its) for mine, its in (*zip(operands, self.operands), *zip(wgt, self.wgt))]
        for lane in range(self.lanes):
            factors = zip(row_lanes(config, operands, lane), row_lanes(config, wgt, lane % config.block_out))
            products = [Signal(signed(config.inp_bits + config.wgt_bits), name=f"product_{lane}_{index}", reset_less=True)
                        for index in range(config.block_in)]
            parts = [Signal(signed(sum_bits(config)), reset_less=True, name=f"part_{lane}_{index}")
                     for index in range(0, config.block_in, TERMS)]
            total = Signal(signed(sum_bits(config)), reset_less=True, name=f"sum_{lane}")
            with m.If(self.multiplies):
                m.d.sync += [product.eq(a * b) for product, (a, b) in zip(products, factors)]
            with m.If(self.adds):
                m.d.sync += [part.eq(balanced_sum(products[index * TERMS:(index + 1) * TERMS]))
                             for index, part in enumerate(parts)]
            with m.If(self.totals):
                m.d.sync += total.eq(balanced_sum(parts))
            m.d.comb += self.sums[lane].eq(total)
        return m


def word_lanes(config, words):
    """The lanes in some words, int8."""
    return [word.word_select(lane, config.inp_bits).as_signed() for word in words
            for lane in range(len(word) // config.inp_bits)]


def row_lanes(config, words, row):
    """The lanes of one row of an element of INP or WGT, int8."""
    count, _ = row_words(config)
    return word_lanes(config, words[row * count:(row + 1) * count])
