"""The second half of a LOAD (weft/hw/unpack.py): walks the block that it fills, takes beats where no padding is."""

from .jit import compiled

BEGUN = 2  # cycles from when the unpacker takes a command until it runs


@compiled
def begin_unpack(s, insns, which, index, entry):
    """An instruction is the unpacker's from the next cycle on, and runs BEGUN cycles later."""
    insn, u = insns[index], s.unpackers[which]
    u.begun, u.index, u.entry, u.empty = 1, index, entry, insn.empty
    u.x = u.y = u.part = 0
    u.width, u.x_pad, u.x_end = insn.width, insn.x_pad_0, insn.x_pad_0 + insn.x_size
    u.height, u.y_pad, u.y_end = insn.height, insn.y_pad_0, insn.height - insn.y_pad_1
    u.parts, u.slots, u.deep = insn.parts, insn.slots, insn.deep
    u.moves = insn.stride >> insn.element_bits  # slots from the beginning of a row to that of the next
    u.slot = insn.address >> insn.element_bits & insn.slots - 1
    u.row_slot = u.slot + u.moves & u.slots - 1


@compiled
def in_padding(u):
    return u.y < u.y_pad or u.y >= u.y_end or u.x < u.x_pad or u.x >= u.x_end


@compiled
def unpack(u, has_beat):
    """A cycle of an unpacker that runs. Returns (it takes a beat, the instruction is done)."""
    if u.empty:
        return False, True
    padding = in_padding(u)
    if not padding and not has_beat:
        return False, False
    takes = not padding and (u.slot == u.slots - 1 or u.x + 1 == u.x_end)
    whole = padding and not u.deep  # an element of padding is written at once
    last_part = whole or u.part == u.parts - 1
    if not whole:
        u.part = 0 if last_part else u.part + 1
        u.slot = u.slot + 1 & u.slots - 1
    if not last_part:
        return takes, False
    u.x += 1
    if u.x < u.width:
        return takes, False
    u.x = 0
    u.y += 1
    if u.y > u.y_pad:
        u.slot = u.row_slot
        u.row_slot = u.row_slot + u.moves & u.slots - 1
    return takes, u.y == u.height
