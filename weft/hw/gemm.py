"""The GEMM core: every row of an INP element times every row of a WGT element, in one step; and the windows that DEPTHWISE
multiplies in the place of INP's rows."""

from amaranth import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

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


def max_taps(config) -> int:
    """The widest window of DEPTHWISE that this machine has."""
    return min(MAX_TAPS, config.block_in)


class Windows(wiring.Component):
    """DEPTHWISE's operands: the last elements of INP of every lane, the newest at tap `taps` - 1 and 0 above it.

    Members
    -------
    slides: the element in `inp` enters in this cycle. taps: of the window.
    lanes: the window of lane b * block_out + o as words, from the oldest; it has seen this cycle's element.
    """

    def __init__(self, config):
        self.config = config
        self.words, self.bits = tap_words(config)
        words, bits = row_words(config)
        super().__init__({"slides": In(1), "taps": In(TAP_BITS), "inp": In(bits).array(config.batch * words),
                          "lanes": Out(self.bits).array(config.batch * config.block_out * self.words)})

    def elaborate(self, platform):
        m = Module()
        width, count = self.config.inp_bits, max_taps(self.config)
        keeps, takes = (Signal(count * width, name=name) for name in ("keeps", "takes"))
        for tap in range(count):
            m.d.comb += [keeps.word_select(tap, width).eq((self.taps > tap + 1).replicate(width)),
                         takes.word_select(tap, width).eq((self.taps == tap + 1).replicate(width))]
        for b in range(self.config.batch):
            for o, element in enumerate(row_lanes(self.config, self.inp, b)):
                held = [Signal(self.bits, name=f"held_{b}_{o}_{word}", reset_less=True) for word in range(self.words)]
                first = (b * self.config.block_out + o) * self.words
                for word in range(self.words):
                    part, now = slice(word * self.bits, (word + 1) * self.bits), self.lanes[first + word]
                    above = held[word + 1][:width] if word + 1 < self.words else Const(0, width)
                    moved = Cat(held[word][width:], above) & keeps[part] | element.replicate(self.bits // width) & takes[part]
                    m.d.comb += now.eq(held[word])
                    with m.If(self.slides):
                        m.d.comb += now.eq(moved)
                        m.d.sync += held[word].eq(moved)
        return m


class DotProducts(wiring.Component):
    """sums[b * block_out + o] = inp row b times wgt row o, or with `windowed` window b * block_out + o times wgt row o; a cycle
    later, where `enable`.

    Members
    -------
    inp, wgt: elements as words, row by row. windows: as `lanes` of Windows. sums: int32.
    """

    def __init__(self, config):
        self.config = config
        words, bits = row_words(config)
        tap_count, tap_bits = tap_words(config)
        super().__init__({"enable": In(1), "windowed": In(1), "inp": In(bits).array(config.batch * words),
                          "windows": In(tap_bits).array(config.batch * config.block_out * tap_count),
                          "wgt": In(bits).array(config.block_out * words),
                          "sums": Out(signed(config.acc_bits)).array(config.batch * config.block_out)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        wgt = [row_lanes(config, self.wgt, row) for row in range(config.block_out)]
        for b in range(config.batch):
            for o in range(config.block_out):
                total = Signal(signed(config.acc_bits), reset_less=True, name=f"sum_{b}_{o}")
                products = [x * y for x, y in zip(self._operands(m, b, o), wgt[o])]  # 16 bits each
                with m.If(self.enable):
                    m.d.sync += total.eq(balanced_sum(products))
                m.d.comb += self.sums[b * config.block_out + o].eq(total)
        return m

    def _operands(self, m, b, o):
        """What the weights of row o are multiplied with, for batch row b."""
        (words, bits), (tap_count, _) = row_words(self.config), tap_words(self.config)
        operands = [Signal(bits, name=f"operand_{b}_{o}_{word}") for word in range(words)]
        for word, operand in enumerate(operands):
            m.d.comb += operand.eq(self.inp[b * words + word])
            with m.If(self.windowed):
                m.d.comb += operand.eq(self.windows[(b * self.config.block_out + o) * tap_count + word] if word < tap_count else 0)
        return row_lanes(self.config, operands, 0)


def row_lanes(config, words, row):
    """The lanes of one row of an element of INP or WGT, int8."""
    count, bits = row_words(config)
    return [words[row * count + index].word_select(lane, config.inp_bits).as_signed()
            for index in range(count) for lane in range(bits // config.inp_bits)]
