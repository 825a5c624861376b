"""The compute module's pipeline: when an instruction issues its steps, where it stands still, when it ends (hw/compute.py, datapath.py).

A step leaves `issue` in one cycle, is in `uop` in the next and in `operands` in the one after. It ends TO_END cycles after
it leaves `operands`, a long one (requantisation, a table) LONG_TO_END cycles after. While a step waits at `operands`, the
stages before it stand still too: a pause. Steps wait for those before them only, so all of an instruction's way is known as
it begins.
"""

import numpy as np

from .jit import compiled
from .state import IN_FLIGHT, KEPT, STEPS

TO_END = 2
LONG_TO_END = 7
LONG_WAITS = KEPT  # cycles from where a long step leaves `operands`, in which what must not overtake it waits there


@compiled
def after_pauses(s, cycle):
    """The first cycle, from this one on, in which the stages before `operands` move."""
    for n in range(KEPT):  # oldest first
        pause = s.pauses[n]
        if pause.begin <= cycle < pause.end:
            cycle = pause.end
    return cycle


@compiled
def remember_pause(s, begin, end):
    for n in range(KEPT - 1):
        s.pauses[n].begin, s.pauses[n].end = s.pauses[n + 1].begin, s.pauses[n + 1].end
    s.pauses[KEPT - 1].begin, s.pauses[KEPT - 1].end = begin, end


@compiled
def remember_long(s, dst, cycle):
    for n in range(KEPT - 1, 0, -1):
        s.longs[n].dst, s.longs[n].cycle = s.longs[n - 1].dst, s.longs[n - 1].cycle
    s.longs[0].dst, s.longs[0].cycle = dst, cycle


@compiled
def leaves_operands(s, cycle, is_long, dst):
    """When a step that comes to `operands` in this cycle leaves it: a long one must not write after it, nor too late for it."""
    if not is_long:
        return max(cycle, s.longs[0].cycle + LONG_WAITS + 1)
    for n in range(KEPT):
        if s.longs[n].dst == dst:
            return max(cycle, s.longs[n].cycle + LONG_WAITS + 1)
    return cycle


@compiled
def step(s, cycle, is_long, dst):
    """One step, in `issue` from this cycle on. Returns (when it leaves it, when it leaves `operands`)."""
    issued = after_pauses(s, cycle)
    arrives = after_pauses(s, issued + 1) + 1
    leaves = leaves_operands(s, arrives, is_long, dst)
    if leaves > arrives:
        remember_pause(s, arrives, leaves)
    if is_long:
        remember_long(s, dst, leaves)
    return issued, leaves


@compiled
def last_issued(s, first_issued, steps):
    """When the last of `steps` steps that follow one another leaves `issue`."""
    last = first_issued + steps - 1
    for n in range(KEPT):  # oldest first
        if first_issued < s.pauses[n].begin <= last:
            last += s.pauses[n].end - s.pauses[n].begin
    return last


@compiled
def long_steps(s, insn, uops, cycle):
    """All steps of a long instruction, one by one. Returns as `step`, of the last."""
    issued = leaves = cycle - 1
    outer = 0
    for _y in range(insn.iter_out):
        inner = outer
        for _x in range(insn.iter_in):
            for k in range(insn.uop_bgn, insn.uop_end):
                issued, leaves = step(s, issued + 1, True, uops[k] + inner & s.acc_depth - 1)
            inner += insn.dst_in
        outer += insn.dst_out
    return issued, leaves


@compiled
def short_steps(s, insn, cycle):
    """All steps of another one: the first that may has to wait for long ones before it, the others follow."""
    if insn.lead:
        cycle = last_issued(s, after_pauses(s, cycle), insn.lead) + 1
    issued, leaves = step(s, cycle, False, 0)
    follow = insn.steps - insn.lead - 1
    return last_issued(s, issued, follow + 1), leaves + follow


@compiled
def begin_steps(s, insns, times, uops, index):
    """An instruction of steps begins in this cycle. One without steps passes through the pipeline as one step, to end in order."""
    insn = insns[index]
    is_long = insn.long != 0
    if insn.work != STEPS:
        issued, leaves = step(s, s.now + 1, False, 0)
    elif is_long:
        issued, leaves = long_steps(s, insn, uops, s.now + 1)
    else:
        issued, leaves = short_steps(s, insn, s.now + 1)
    ends = leaves + (LONG_TO_END if is_long else TO_END)
    s.last_issue, s.busy_until = issued, ends
    times[index].issued = issued
    entry = s.ends[s.ends_first + s.ends_count & IN_FLIGHT - 1]
    entry.cycle, entry.index = ends, index
    s.ends_count += 1


@compiled
def end_steps(s):
    """The instruction of steps that ends in this cycle; -1: none."""
    if s.ends_count == 0 or s.ends[s.ends_first].cycle != s.now:
        return -1
    index = s.ends[s.ends_first].index
    s.ends_first = s.ends_first + 1 & IN_FLIGHT - 1
    s.ends_count -= 1
    return index


@compiled
def pipeline_moves(s):
    """A step is on its way: a LOAD of this module writes nothing."""
    return s.now <= s.busy_until


@compiled
def may_begin(s):
    """The instruction before has issued, or loaded, all that it has."""
    return not s.loading and s.now >= s.last_issue


@compiled
def load_uops(insn, uops, dram):
    """A LOAD of micro-ops fills UOP: their destinations decide where long steps wait."""
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
