"""The GEMM core: every row of an INP element times every row of a WGT element, in one step; and the windows that DEPTHWISE
multiplies in the place of INP's rows."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa.table import MAX_TAPS

from .loops import TAP_BITS

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
    prepare: the next cycle may slide a window of `taps`. used: `lanes` is wanted. slides: the element in `inp` enters in this
    cycle, and `used` is set.
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
        all_keeps = Cat((self.taps > tap + 1).replicate(width) for tap in range(count))
        all_takes = Cat((self.taps == tap + 1).replicate(width) for tap in range(count))
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
    """sums[b * block_out + o] = inp row b times wgt row o, or with `windowed` window b * block_out + o times wgt row o; a cycle
    later, where `enable`.

    The two sums stand in the branches of one condition and share wgt's rows: synthesis makes one row of multipliers of both,
    with a choice of the first operand. Written out, that choice would be most of what a simulator does.

    Members
    -------
    inp, wgt: elements as words, row by row. windows: as `lanes` of Windows.
    """

    def __init__(self, config):
        self.config = config
        words, bits = row_words(config)
        tap_count, tap_bits = tap_words(config)
        super().__init__({"enable": In(1), "windowed": In(1), "inp": In(bits).array(config.batch * words),
                          "windows": In(tap_bits).array(config.batch * config.block_out * tap_count),
                          "wgt": In(bits).array(config.block_out * words),
                          "sums": Out(signed(sum_bits(config))).array(config.batch * config.block_out)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        tap_count, _ = tap_words(config)
        wgt = [row_lanes(config, self.wgt, row) for row in range(config.block_out)]
        for b in range(config.batch):
            inp = row_lanes(config, self.inp, b)
            for o in range(config.block_out):
                lane = b * config.block_out + o
                window = word_lanes(config, self.windows[lane * tap_count:(lane + 1) * tap_count])
                total = Signal(signed(sum_bits(config)), reset_less=True, name=f"sum_{b}_{o}")
                with m.If(self.enable):
                    m.d.sync += total.eq(dot_product(inp, wgt[o]))
                    with m.If(self.windowed):
                        m.d.sync += total.eq(dot_product(window, wgt[o]))
                m.d.comb += self.sums[lane].eq(total)
        return m


def dot_product(a, b):
    """The sum of the products of the lanes of two rows; where one has fewer, of those."""
    return balanced_sum([x * y for x, y in zip(a, b)])


def word_lanes(config, words):
    """The lanes in some words, int8."""
    return [word.word_select(lane, config.inp_bits).as_signed() for word in words for lane in range(len(word) // config.inp_bits)]


def row_lanes(config, words, row):
    """The lanes of one row of an element of INP or WGT, int8."""
    count, _ = row_words(config)
    return word_lanes(config, words[row * count:(row + 1) * count])
