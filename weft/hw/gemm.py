"""The GEMM core: every row of an INP element times every row of a WGT element, in one step; and the windows that DEPTHWISE
multiplies in the place of INP's rows."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa.table import MAX_TAPS

from .loops import TAP_BITS

TERMS = 4  # products that are added in a cycle
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


class Windows(wiring.Component):
    """DEPTHWISE's operands: the last elements of INP of every lane, the newest at tap `taps` - 1 and 0 above it.

    Members
    -------
    prepare: the next cycle may slide a window of `taps`. used: `lanes` is wanted. slides: the element in `inp`, a register,
    enters in this cycle, and `used` is set.
    lanes: the window of lane b * block_out + o as words, from the oldest; it has seen this cycle's element.
    """

    def __init__(self, config):
        self.config = config
        self.words, self.bits = tap_words(config)
        words, bits = row_words(config)
        super().__init__({"prepare": In(1), "used": In(1), "slides": In(1), "taps": In(TAP_BITS), "inp": In(bits).array(config.batch * words),
                          "lanes": Out(self.bits).array(config.batch * config.block_out * self.words)})

    def elaborate(self, platform):
        m = Module()
        width, count = self.config.inp_bits, max_taps(self.config)
        keeps, takes = ([Signal(self.bits, name=f"{name}_{word}", reset_less=True) for word in range(self.words)]
                        for name in ("keeps", "takes"))  # masks: of the taps that take their neighbour's element, and the new one
        newest = [self.taps == tap + 1 for tap in range(count)]
        all_keeps = Cat(Cat(newest[tap + 1:]).any().replicate(width) for tap in range(count))
        all_takes = Cat(is_newest.replicate(width) for is_newest in newest)
        with m.If(self.prepare):
            m.d.sync += [Cat(keeps).eq(all_keeps), Cat(takes).eq(all_takes)]
        for b in range(self.config.batch):
            for o, element in enumerate(row_lanes(self.config, self.inp, b)):
                held = [Signal(self.bits, name=f"held_{b}_{o}_{word}", reset_less=True) for word in range(self.words)]
                first = (b * self.config.block_out + o) * self.words
                for word in range(self.words):
                    now = self.lanes[first + word]
                    above = held[word + 1][:width] if word + 1 < self.words else Const(0, width)
                    moved = Cat(held[word][width:], above) & keeps[word] | element.replicate(self.bits // width) & takes[word]
                    with m.If(self.used):
                        m.d.comb += now.eq(Mux(self.slides, moved, held[word]))
                    with m.If(self.slides):
                        m.d.sync += held[word].eq(now)
        return m


class DotProducts(wiring.Component):
    """sums[b * block_out + o] = inp row b times wgt row o, or with `windowed` window b * block_out + o times wgt row o.

    Operands, products, parts of sums and sums are registers, each of a cycle: multipliers of an FPGA have none of their own that synthesis
    would use, and each takes half of a cycle there.

    Members
    -------
    takes: the operands are there. windowed: the first is a window. multiplies, adds, totals: what was taken a cycle, two,
    three cycles before.
    inp, wgt: elements as words, row by row. windows: as `lanes` of Windows. sums: four cycles after `takes`.
    """

    def __init__(self, config):
        self.config = config
        words, bits = row_words(config)
        tap_count, tap_bits = tap_words(config)
        super().__init__({"takes": In(1), "windowed": In(1), "multiplies": In(1), "adds": In(1), "totals": In(1), "inp": In(bits).array(config.batch * words),
                          "windows": In(tap_bits).array(config.batch * config.block_out * tap_count),
                          "wgt": In(bits).array(config.block_out * words),
                          "sums": Out(signed(sum_bits(config))).array(config.batch * config.block_out)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        words, bits = row_words(config)
        wgt = [Signal(bits, name=f"wgt_{index}", reset_less=True) for index in range(config.block_out * words)]
        with m.If(self.takes):
            m.d.sync += [mine.eq(its) for mine, its in zip(wgt, self.wgt)]
        for lane in range(config.batch * config.block_out):
            row = lane % config.block_out
            factors = zip(word_lanes(config, self._operand(m, lane)), row_lanes(config, wgt, row))
            products = [Signal(signed(config.inp_bits + config.wgt_bits), name=f"product_{lane}_{index}", reset_less=True)
                        for index in range(config.block_in)]
            parts = [Signal(signed(sum_bits(config)), reset_less=True, name=f"part_{lane}_{index}") for index in range(0, config.block_in, TERMS)]
            total = Signal(signed(sum_bits(config)), reset_less=True, name=f"sum_{lane}")
            with m.If(self.multiplies):
                m.d.sync += [product.eq(a * b) for product, (a, b) in zip(products, factors)]
            with m.If(self.adds):
                m.d.sync += [part.eq(balanced_sum(products[index * TERMS:(index + 1) * TERMS])) for index, part in enumerate(parts)]
            with m.If(self.totals):
                m.d.sync += total.eq(balanced_sum(parts))
            m.d.comb += self.sums[lane].eq(total)
        return m

    def _operand(self, m, lane):
        """A lane's first operand, as words: its window, 0 above that, or the row of INP."""
        (words, bits), (tap_count, _) = row_words(self.config), tap_words(self.config)
        row = lane // self.config.block_out
        operand = [Signal(bits, name=f"operand_{lane}_{index}", reset_less=True) for index in range(words)]
        with m.If(self.takes):
            m.d.sync += [mine.eq(its) for mine, its in zip(operand, self.inp[row * words:(row + 1) * words])]
            with m.If(self.windowed):
                m.d.sync += [word.eq(self.windows[lane * tap_count + index] if index < tap_count else 0) for index, word in enumerate(operand)]
        return operand


def word_lanes(config, words):
    """The lanes in some words, int8."""
    return [word.word_select(lane, config.inp_bits).as_signed() for word in words for lane in range(len(word) // config.inp_bits)]


def row_lanes(config, words, row):
    """The lanes of one row of an element of INP or WGT, int8."""
    count, _ = row_words(config)
    return word_lanes(config, words[row * count:(row + 1) * count])
