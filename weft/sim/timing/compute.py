"""The compute module (weft/hw/compute.py, in_flight.py): instructions begin and end in order, and run on three engines.

    queue -> decode -> begin (tokens, an entry in flight) -> waiting for its engine -> the engine -> end (tokens)
"""

import numpy as np

from .alu import operate
from .jit import compiled
from .state import ALONE, ALU, COMPUTE, COMPUTES, ENGINES, ENTRIES, LOWER, MOVE, MULTIPLY, NEVER, PLACES, UPPER, WAITING

DECODED = 7  # cycles from when an instruction leaves its queue until it may take its tokens
MULTIPLY_TO_DONE = 12  # cycles from a step's issue: a cycle behind its write
MOVE_TO_DONE = 3  # from when the unpacker is through


@compiled
def is_done(s, entry):
    """An entry's last write is in this cycle, or was before."""
    return s.entries[entry].done <= s.now


@compiled
def end_oldest(s):
    """The instruction that ends in the next cycle; -1: none."""
    return s.entries[s.oldest].index if s.in_flight and is_done(s, s.oldest) else -1


@compiled
def engine_ready(s, engine):
    """The engine can take an instruction in this cycle. For loads, after the unpacker's part of the cycle."""
    if engine == MOVE:
        return s.clients[COMPUTE].rows == 0 and not s.clients[COMPUTE].waiting
    return s.now >= s.issues[engine].until


@compiled
def place(s, engine, number):
    """Of those that wait for an engine, the one with so many before it."""
    return s.places[engine * PLACES + (s.lines[engine].first + number & PLACES - 1)]


@compiled
def is_taken(s, engine):
    """The engine takes the first of those that wait for it in the next cycle."""
    line = s.lines[engine]
    return line.able and not line.begins and engine_ready(s, engine)


@compiled
def may_be_taken(s, engine):
    """The first of those that wait for an engine is held, and what it depends on is done: in the next cycle it can be
    taken."""
    line = s.lines[engine]
    return line.holds and not line.begins and place(s, engine, 0).waits == 0


@compiled
def hold(s, engine, taken):
    """The end of a cycle of what holds the first of those that wait for an engine."""
    line = s.lines[engine]
    line.able = may_be_taken(s, engine)
    line.holds = not line.begins and (line.holds or line.count > 0)
    line.begins = taken


@compiled
def leave_line(s, engine):
    """The first of those that wait for an engine is there no more."""
    line = s.lines[engine]
    line.first, line.count = line.first + 1 & PLACES - 1, line.count - 1


@compiled
def meets(insn, first, after):
    """A LOAD of UOP may fill one of these micro-ops."""
    return insn.several or first < insn.sram + insn.width and insn.sram < after


@compiled
def overwrites(s, insns, insn):
    """A LOAD of UOP would fill micro-ops that are still to be read."""
    for engine in (MULTIPLY, ALU):
        for n in range(s.lines[engine].count):
            waiting = insns[place(s, engine, n).index]
            if meets(insn, waiting.uop_bgn, waiting.uop_end):
                return True
        issue = s.issues[engine]
        if s.now <= issue.until and meets(insn, issue.first_uop, issue.last_uop):
            return True
    return False


@compiled
def must_not_fill(s, insns):
    """The decoded instruction is a LOAD of UOP that would overwrite micro-ops."""
    insn = insns[s.modules[COMPUTES].head]
    return insn.engine == MOVE and insn.is_uop and overwrites(s, insns, insn)


@compiled
def may_begin(s, insns):
    """The decoded instruction finds room to wait, an entry, and micro-ops where it needs them: in the next cycle, then."""
    if s.in_flight == ENTRIES:
        return False
    insn = insns[s.modules[COMPUTES].head]
    if insn.engine == ALONE:
        return True
    if s.lines[insn.engine].count == WAITING[insn.engine]:
        return False
    if insn.engine == MOVE:
        return not insn.is_uop or not s.was_read
    return not s.loads_uop and not s.late


@compiled
def decode_cycle(s, insns, takes, begins):
    """The decoder's registers at the end of a cycle, in which it takes an instruction or its own begins."""
    if s.decoded:
        s.ready, s.was_read, s.is_read = may_begin(s, insns), s.is_read, must_not_fill(s, insns)
        s.decoded = 0 if begins else min(s.decoded + 1, DECODED)
    elif takes:
        s.decoded = 1


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
def take(s, insns, times, uops, engine):
    """An engine of steps takes the first of those that wait for it at the end of this cycle."""
    index, entry = place(s, engine, 0).index, place(s, engine, 0).entry
    insn, issue = insns[index], s.issues[engine]
    issue.first_uop, issue.last_uop = insn.uop_bgn, insn.uop_end
    if engine == ALU:
        issued, done = operate(s, insn, uops)
    else:
        issued = s.now + insn.steps
        done = issued + MULTIPLY_TO_DONE
    issue.until = issued
    s.entries[entry].done = done
    times[index].issued = issued


@compiled
def begin_compute(s, insns, uops, dram, index):
    """An instruction begins at the end of this cycle: it takes an entry, and waits for its engine."""
    insn = insns[index]
    uses = uses_of(s, insn, uops)
    if insn.engine != ALONE:
        last = place(s, insn.engine, s.lines[insn.engine].count)
        last.waits = waits_for(s, insn.engine, uses)
        last.index, last.entry = index, s.newest
        s.lines[insn.engine].count += 1
    entry = s.entries[s.newest]
    entry.index, entry.engine, entry.uses = index, insn.engine, uses
    entry.done = s.now if insn.engine == ALONE else NEVER
    if insn.is_uop and insn.engine == MOVE:
        s.loads_uop, s.uop_entry = 1, s.newest
        load_uops(insn, uops, dram)
    s.newest = s.newest + 1 & ENTRIES - 1
    s.in_flight += 1


@compiled
def tell_done(s):
    """The end of a cycle: those that wait for what is done in it wait for it no more."""
    done = 0
    for n in range(s.in_flight):
        at = s.oldest + n & ENTRIES - 1
        if s.entries[at].done == s.now:
            done |= 1 << at
    if done:
        for engine in range(ENGINES):
            for n in range(s.lines[engine].count):
                place(s, engine, n).waits &= ~done
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
