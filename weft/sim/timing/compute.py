"""The compute module: instructions begin and end in order, and run on three engines between (weft/hw/compute.py, in_flight.py).

    queue -> decode -> begin (tokens, an entry in flight) -> the slot of its engine -> the engine -> end (tokens)
"""

import numpy as np

from .alu import operate
from .jit import compiled
from .state import ALONE, ALU, COMPUTE, COMPUTES, ENTRIES, LOWER, MOVE, MULTIPLY, NEVER, UPPER

MULTIPLY_TO_WRITE = 4  # cycles from a step's issue


@compiled
def is_done(s, entry):
    """An entry's last write is in this cycle, or was before."""
    return s.entries[entry].done <= s.now


@compiled
def end_oldest(s):
    """The instruction that ends in this cycle; -1: none."""
    return s.entries[s.oldest].index if s.in_flight and is_done(s, s.oldest) else -1


@compiled
def engine_ready(s, engine):
    """The engine can take an instruction in this cycle. For loads, after the unpacker's part of the cycle."""
    if engine == MOVE:
        return s.clients[COMPUTE].rows == 0 and not s.clients[COMPUTE].waiting
    return s.now >= s.issues[engine].until


@compiled
def leaves_slot(s, engine):
    """The engine takes what is in its slot in this cycle."""
    slot = s.engine_slots[engine]
    return slot.waiting and slot.waits == 0 and engine_ready(s, engine)


@compiled
def meets(insn, first, after):
    """A LOAD of UOP may fill one of these micro-ops."""
    return insn.several or first < insn.sram + insn.width and insn.sram < after


@compiled
def overwrites(s, insns, insn):
    """A LOAD of UOP would fill micro-ops that are still to be read."""
    for engine in (MULTIPLY, ALU):
        slot, issue = s.engine_slots[engine], s.issues[engine]
        if slot.waiting and meets(insn, insns[slot.index].uop_bgn, insns[slot.index].uop_end):
            return True
        if s.now <= issue.until and meets(insn, issue.first_uop, issue.last_uop):
            return True
    return False


@compiled
def may_begin(s, insns):
    """The decoded instruction finds its slot free, an entry, and micro-ops where it needs them."""
    if not s.decoded or s.in_flight == ENTRIES:
        return False
    insn = insns[s.modules[COMPUTES].head]
    if insn.engine == ALONE:
        return True
    if s.engine_slots[insn.engine].waiting and not leaves_slot(s, insn.engine):
        return False
    if insn.engine == MOVE:
        return not insn.is_uop or not overwrites(s, insns, insn)
    return not s.loads_uop and not s.late


@compiled
def uses_of(s, insn, uops):
    """What an instruction uses beside its engine; the half of a confined one is where its first step writes."""
    if not insn.confined:
        return insn.uses
    dst = uops[insn.uop_bgn] & s.acc_depth - 1
    return insn.uses | (UPPER if dst >= s.acc_depth >> 1 else LOWER)


@compiled
def waits_for(s, engine, uses):
    """A bit for each entry of another engine that is not done and uses something of the same."""
    waits = 0
    for n in range(s.in_flight):
        at = s.oldest + n & ENTRIES - 1
        entry = s.entries[at]
        if not is_done(s, at) and entry.uses & uses and entry.engine != engine:
            waits |= 1 << at
    return waits


@compiled
def still_waits(s, waits):
    """Of these entries, those that are not done."""
    for entry in range(ENTRIES):
        if waits >> entry & 1 and is_done(s, entry):
            waits &= ~(1 << entry)
    return waits


@compiled
def take(s, insns, times, uops, engine):
    """An engine takes the instruction of its slot at the end of this cycle, if it is not LOAD's."""
    slot, issue = s.engine_slots[engine], s.issues[engine]
    insn = insns[slot.index]
    issue.first_uop, issue.last_uop = insn.uop_bgn, insn.uop_end
    if engine == ALU:
        issued, done = operate(s, insn, uops)
    else:
        issued = s.now + insn.steps
        done = issued + MULTIPLY_TO_WRITE
    issue.until = issued
    s.entries[slot.entry].done = done
    times[slot.index].issued = issued


@compiled
def begin_compute(s, insns, uops, dram, index):
    """An instruction begins at the end of this cycle: it takes an entry, and the slot of its engine."""
    insn = insns[index]
    uses = uses_of(s, insn, uops)
    if insn.engine != ALONE:
        slot = s.engine_slots[insn.engine]
        slot.waits = waits_for(s, insn.engine, uses)
        slot.waiting, slot.index, slot.entry = 1, index, s.newest
    entry = s.entries[s.newest]
    entry.index, entry.engine, entry.uses = index, insn.engine, uses
    entry.done = s.now if insn.engine == ALONE else NEVER
    if insn.is_uop and insn.engine == MOVE:
        s.loads_uop, s.uop_entry = 1, s.newest
        load_uops(insn, uops, dram)
    s.newest = s.newest + 1 & ENTRIES - 1
    s.in_flight += 1


@compiled
def wait_in_slots(s):
    """The end of a cycle: what was waited for may be done."""
    for engine in (MULTIPLY, ALU, MOVE):
        slot = s.engine_slots[engine]
        if slot.waiting and slot.waits:
            slot.waits = still_waits(s, slot.waits)
    s.late = s.loads_uop
    s.loads_uop = s.loads_uop and not is_done(s, s.uop_entry)


@compiled
def load_uops(insn, uops, dram):
    """A LOAD of micro-ops fills UOP: their destinations decide where steps wait, and which half of ACC they use."""
    at = insn.sram
    for y in range(insn.height):
        row = insn.address + (y - insn.y_pad_0) * insn.stride & 0xFFFFFFFF
        for x in range(insn.width):
            inside = insn.y_pad_0 <= y < insn.height - insn.y_pad_1 and insn.x_pad_0 <= x < insn.width - insn.x_pad_1
            first, word = row + (x - insn.x_pad_0) * 4, insn.pad_value
            if inside:
                word = 0
                if first + 4 <= len(dram):
                    for byte in range(4):
                        word |= np.int64(dram[first + byte]) << 8 * byte
            uops[at & len(uops) - 1] = word
            at += 1
