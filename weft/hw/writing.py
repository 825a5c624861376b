"""From a LOAD's writes to the words of a scratchpad: which word takes which bits of the beat."""

from amaranth import Cat, Signal


def fill_words(m, pad, shape, kind: int, write):
    """Drives the write port of Scratchpad `pad`, whose words hold an element of `shape` in order, from a DMA's writes."""
    word_bytes = pad.width // 8
    chosen = Signal(name=f"{shape.info.buffer}_chosen")
    offsets = [index * word_bytes for index in range(pad.words)]
    m.d.comb += [chosen.eq(write.into[kind]), pad.write_address.eq(write.address),
                 pad.write_enable.eq(enables(chosen, write, shape, offsets))]
    for index, offset in enumerate(offsets):
        m.d.comb += pad.write_data[index].eq(bits_of(write, shape, offset, pad.width))


def enables(chosen, write, shape, offsets):
    """A bit a word: does this write reach the word at that byte offset of the element?"""
    if shape.parts == 1:
        return chosen.replicate(len(offsets))
    reached = [chosen & write.reached[part] for part in range(shape.parts)]
    return Cat(*(reached[offset // shape.beat_bytes] for offset in offsets))


def bits_of(write, shape, offset: int, width: int):
    """The bits of the beat that hold the word at this byte offset of the element."""
    start = offset % shape.beat_bytes * 8
    return write.data[start:start + width]
