"""QNT: a channel's parameters of requantisation, read when they are due and not before, so that none is held for long.

Every batch row of a channel shares them.
"""

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from weft.isa import Memory
from weft.isa.config import QNT_LANE_BYTES
from weft.isa.quantise import MULTIPLIER_BITS

from .blocks import Shape, write_signature
from .requant import BIAS, EIGHTS, FIELDS, LATENCY, MOVE, PRODUCT, register
from .scratchpad import Scratchpad
from .writing import bits_of, enables

WORDS = {"bias": (0, 32, BIAS), "multiplier": (4, MULTIPLIER_BITS, BIAS), "scale": (8, 8, PRODUCT), "range": (9, 24, MOVE)}
"""What is read at once: where it lies in a lane, in bytes; its bits; the stage at which it is there. `scale`: shift and
rounding; `range`: zero point, minimum, maximum. The lane's last word is reserved."""
STAGES = ("read", "got", "fetched", *range(LATENCY))  # of a step, for `enables`
FIRST = STAGES.index(0)
ADDRESS = 2  # stages from a word's address until it is there; what may have to be 0 takes one more


class Parameters(wiring.Component):
    """Members: `write` of a DMA whose kind for QNT is `kind`; `index` of the element that the step in `read` uses;
    `enables`: a bit for each of STAGES that a requantising step is in; `none`: a step in the stage before BIAS needs bias
    and multiplier to be 0. channel_*: FIELDS of requant.py, each at its stage."""

    def __init__(self, config, kind: int):
        self.config, self.kind = config, kind
        fields = wiring.Signature({name: Out(shape) for name, (shape, _) in FIELDS.items()})
        super().__init__({"write": In(write_signature(config)), "index": In(exact_log2(config.qnt_depth)),
                          "enables": In(len(STAGES)), "none": In(1),
                          **{f"channel_{channel}": Out(fields) for channel in range(config.block_out)}})

    def elaborate(self, platform):
        m = Module()
        indices = [self.index, *(register(f"index_{stage}", self.index.shape())
                                 for stage in STAGES[1:FIRST + MOVE - ADDRESS + 1])]
        for stage, (before, after) in enumerate(zip(indices, indices[1:])):
            with m.If(self.enables[stage]):
                m.d.sync += after.eq(before)
        words = {name: self._words(m, name, indices, stage, *where) for name, (*where, stage) in WORDS.items()}
        for channel, members in enumerate(zip(*words.values())):
            self._channel(m, channel, getattr(self, f"channel_{channel}"), *members)
        return m

    def _words(self, m, name, indices, stage, offset, width):
        """That word of all channels, there at `stage`."""
        channels, may_be_none = range(self.config.block_out), stage == BIAS
        asked = FIRST + stage - ADDRESS - may_be_none
        m.submodules[name] = memory = Scratchpad(len(channels), width, self.config.qnt_depth, block=True)
        shape, chosen = Shape(self.config, Memory.QNT), Signal()
        offsets = [channel * QNT_LANE_BYTES + offset for channel in channels]
        m.d.comb += [chosen.eq(self.write.into[self.kind]),
                     memory.write_address.eq(self.write.address),
                     memory.write_enable.eq(enables(chosen, self.write, shape, offsets)),
                     memory.read_address.eq(indices[asked]), memory.read_enable.eq(self.enables[asked])]
        m.d.comb += [memory.write_data[channel].eq(bits_of(self.write, shape, offsets[channel], width))
                     for channel in channels]
        words = [register(f"{name}_{channel}", width) for channel in channels]
        with m.If(self.enables[asked + 1]):
            m.d.sync += [mine.eq(its) for mine, its in zip(words, memory.read_data)]
        if not may_be_none:
            return words
        some = [register(f"{name}_or_none_{channel}", width) for channel in channels]
        with m.If(self.enables[asked + 2]):
            m.d.sync += [mine.eq(its) for mine, its in zip(some, words)]
        with m.Elif(self.none):
            m.d.sync += [word.eq(0) for word in some]
        return some

    def _channel(self, m, channel, fields, bias, multiplier, scale, limits):
        """From words to fields."""
        ones = self._later(m, f"early_ones_{channel}", scale[:3], PRODUCT, EIGHTS)
        zero_point, minimum, maximum = (limits.word_select(index, 8).as_signed() for index in range(3))
        m.d.comb += [fields.bias.eq(bias), fields.multiplier.eq(multiplier), fields.eights.eq(scale[3:6]),
                     fields.zero_point.eq(zero_point)]
        for name, value, stage in (("ones", ones, EIGHTS), ("kept", (Const(127, 7) << ones)[:7], EIGHTS),
                                   ("rounding", scale[6:], PRODUCT), ("maximum", maximum, MOVE),
                                   ("minimum", Mux(minimum > maximum, maximum, minimum), MOVE)):
            m.d.comb += getattr(fields, name).eq(self._later(m, f"{name}_{channel}", value, stage, FIELDS[name][1]))

    def _later(self, m, name, value, stage, due):
        """What is there at `stage`, at the stage at which it is due."""
        for at in range(stage, due):
            moved = register(f"{name}_{at + 1}", len(value))
            with m.If(self.enables[STAGES.index(at)]):
                m.d.sync += moved.eq(value)
            value = moved
        return value
