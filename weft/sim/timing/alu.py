"""The engine of ALU and of GEMM with reset (weft/hw/elementwise.py): when steps issue, stand still, and write.

A step leaves `issue` in one cycle, and is in `read` STAGES cycles later. It writes TO_WRITE cycles after it leaves `read`, a
long one (requantisation, a table, a shift, a product) LONG_TO_WRITE cycles after. While a step waits in `read`, the stages
before it stand still too: a pause. Steps wait for those before them only, so all of an instruction's way is known as it
begins.
"""

from .jit import compiled
from .state import KEPT

STAGES = 5
TO_WRITE = 4
LONG_TO_WRITE = 13
TO_DONE = 1  # cycles from a write
NONE = -1  # no element of ACC
LONG_WAITS = KEPT  # cycles from where a long step leaves `read`, in which what must not overtake it waits there


@compiled
def after_pauses(s, cycle):
    """The first cycle, from this one on, in which the stages before `read` move."""
    if s.pauses[KEPT - 1].end <= cycle:
        return cycle
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
    s.newest_long = 0 if s.newest_long == KEPT - 1 else s.newest_long + 1
    newest = s.longs[s.newest_long]
    newest.dst, newest.cycle = dst, cycle


@compiled
def leaves_read(s, cycle, is_long, dst, src):
    """When a step that comes to `read` in this cycle leaves it: a long one must not write after it, nor too late for it.

    dst, src: what a long one changes, and reads beside it."""
    if not is_long:
        return max(cycle, s.longs[s.newest_long].cycle + LONG_WAITS + 1)
    for n in range(KEPT):
        if s.longs[n].dst == dst or s.longs[n].dst == src:
            cycle = max(cycle, s.longs[n].cycle + LONG_WAITS + 1)
    return cycle


@compiled
def step(s, cycle, is_long, dst, src):
    """One step, in `issue` from this cycle on. Returns (when it leaves it, when it leaves `read`)."""
    issued = after_pauses(s, cycle)
    arrives = issued + 1
    for _stage in range(STAGES - 1):
        arrives = after_pauses(s, arrives) + 1
    leaves = leaves_read(s, arrives, is_long, dst, src)
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
    dst_outer = src_outer = 0
    for _y in range(insn.iter_out):
        dst_inner, src_inner = dst_outer, src_outer
        for _x in range(insn.iter_in):
            for k in range(insn.uop_bgn, insn.uop_end):
                src = (uops[k] >> s.src_offset & s.src_indices - 1) + src_inner & s.src_indices - 1
                src = src & s.acc_depth - 1 if insn.reads_src else NONE
                issued, leaves = step(s, issued + 1, True, uops[k] + dst_inner & s.acc_depth - 1, src)
            dst_inner += insn.dst_in
            src_inner += insn.src_in
        dst_outer += insn.dst_out
        src_outer += insn.src_out
    return issued, leaves


@compiled
def operate(s, insn, uops):
    """The engine takes an instruction in this cycle. Returns (when its last step issues, when it is done)."""
    if insn.long:
        issued, leaves = long_steps(s, insn, uops, s.now + 1)
        return issued, leaves + LONG_TO_WRITE + TO_DONE
    # the first may have to wait for long ones before it, the others follow
    issued, leaves = step(s, s.now + 1, False, NONE, NONE)
    return last_issued(s, issued, insn.steps), leaves + insn.steps - 1 + TO_WRITE + TO_DONE
