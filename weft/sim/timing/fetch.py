"""Fetch: beats become instructions, and each goes to its module's queue (weft/hw/fetch.py)."""

from weft.isa.table import INSTRUCTION_BYTES

from .jit import compiled
from .state import FETCH
from .tokens import has_room

BUFFER_BEATS = 64
FETCH_BURST = 16  # beats
COLLECTED, KNOWN = 1, 2  # an instruction is there; where it goes is known


@compiled
def hand_out(s, insns, times):
    """A cycle of the assembler: an instruction is collected, then COLLECTED, then KNOWN. Returns (a beat leaves the buffer,
    the module that gets an instruction; -1: none)."""
    if s.whole == COLLECTED:
        s.whole = KNOWN
    elif s.whole == KNOWN:
        module = insns[s.handed].module
        if has_room(s.modules[module]):
            times[s.handed].fetched = s.now
            s.handed += 1
            s.left -= 1
            s.whole = 0
            return False, module
    elif s.level and s.left:
        s.part += 1
        if s.parts > 1:
            s.whole = s.part == s.parts
            s.part = 0 if s.whole else s.part
            return True, -1
        s.whole, empties = COLLECTED, s.part == s.slots or s.left == 1
        s.part = 0 if empties else s.part
        return empties, -1
    return False, -1


@compiled
def move_buffer(s, written, read):
    """The end of a cycle of the buffer: a memory of `inner` beats, and its output if `level` is 1."""
    moves = s.inner > 0 and (not s.level or read)
    s.inner += written
    s.inner -= moves
    if moves:
        s.level = 1
    elif read:
        s.level = 0


@compiled
def begin_fetch(s):
    """A launch that waited is asked for."""
    first, client = s.stream % s.bus_bytes, s.clients[FETCH]
    s.launching = 0
    s.left = s.instructions
    s.part = first // INSTRUCTION_BYTES if s.slots > 1 else 0
    client.left = (first + s.instructions * INSTRUCTION_BYTES + s.bus_bytes - 1) // s.bus_bytes
    client.at = s.stream // s.bus_bytes
    client.age = 0
