"""The GEMM core: every row of an INP element times every row of a WGT element, in one step."""

from amaranth import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WORD_BITS = 64  # widest word of INP and WGT memories


def row_words(config) -> tuple[int, int]:
    """(words a row of block_in lanes takes, bits a word)."""
    bits = config.block_in * config.inp_bits
    return max(1, bits // WORD_BITS), min(bits, WORD_BITS)


def balanced_sum(terms):
    """The sum of a list of values as a tree."""
    while len(terms) > 1:
        terms = [sum(terms[i:i + 2][1:], terms[i]) for i in range(0, len(terms), 2)]
    return terms[0]


class DotProducts(wiring.Component):
    """sums[b * block_out + o] = inp row b times wgt row o, a cycle later, where `enable`.

    Members
    -------
    inp, wgt: elements as words, row by row. sums: int32.
    """

    def __init__(self, config):
        self.config = config
        words, bits = row_words(config)
        super().__init__({"enable": In(1), "inp": In(bits).array(config.batch * words),
                          "wgt": In(bits).array(config.block_out * words),
                          "sums": Out(signed(config.acc_bits)).array(config.batch * config.block_out)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        inp = [self._lanes(m, self.inp, row, "inp") for row in range(config.batch)]
        wgt = [self._lanes(m, self.wgt, row, "wgt") for row in range(config.block_out)]
        for b in range(config.batch):
            for o in range(config.block_out):
                total = Signal(signed(config.acc_bits), reset_less=True, name=f"sum_{b}_{o}")
                products = [x * y for x, y in zip(inp[b], wgt[o])]  # 16 bits each
                with m.If(self.enable):
                    m.d.sync += total.eq(balanced_sum(products))
                m.d.comb += self.sums[b * config.block_out + o].eq(total)
        return m

    def _lanes(self, m, words, row, name):
        """The lanes of one row, int8."""
        count, bits = row_words(self.config)
        width = self.config.inp_bits
        return [words[row * count + index].word_select(lane, width).as_signed()
                for index in range(count) for lane in range(bits // width)]
