"""Fetch: beats become instructions, and each goes to its module's queue (weft/hw/fetch.py)."""

from weft.isa.table import INSTRUCTION_BYTES

from .jit import compiled
from .state import FETCH
from .tokens import has_room

BUFFER_BEATS = 64
FETCH_BURST = 16  # beats


@compiled
def hand_out(s, insns, times):
    """A cycle of the assembler. Returns (a beat leaves the buffer, the module that gets an instruction; -1: none)."""
    if s.level == 0 or s.left == 0:
        return False, -1
    if s.part < s.parts - 1:  # a beat that is not the last of its instruction
        s.part += 1
        return True, -1
    module = insns[s.handed].module
    if not has_room(s.modules[module]):
        return False, -1
    times[s.handed].fetched = s.now
    s.handed += 1
    empties = s.parts > 1 or s.part == s.slots - 1 or s.left == 1
    s.left -= 1
    s.part = 0 if empties else s.part + 1
    return empties, module


@compiled
def begin_fetch(s):
    """A launch that waited is asked for."""
    first, client = s.stream % s.bus_bytes, s.clients[FETCH]
    s.launching = 0
    s.left = s.instructions
    s.part = first // INSTRUCTION_BYTES if s.slots > 1 else 0
    client.left = (first + s.instructions * INSTRUCTION_BYTES + s.bus_bytes - 1) // s.bus_bytes
    client.at = s.stream // s.bus_bytes
