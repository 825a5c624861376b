"""A launch from its first cycle to its last."""

from .jit import cached, compiled
from .leap import leap, still
from .machine import cycle


@compiled
def is_done(s):
    """Every instruction has ended, and nothing is on its way to DRAM."""
    ended = s.modules[0].ended + s.modules[1].ended + s.modules[2].ended
    return s.finished >= 0 and ended == s.instructions and s.answers_count == 0 and s.writes_count == 0 and not s.bvalid


@cached
def run(s, insns, own, times, uops, dram, last, leaps):
    """Until all is done, nothing moves any more (`stuck`), or the cycle `last` is reached.

    s: MACHINE. insns: INSTRUCTION [n]. own: int64 [3, n + 1], each module's instructions. times: TIMES [n], written.
    uops: int64 [uop_depth], the content of UOP. dram: uint8, for micro-ops only. leaps: over cycles that are alike; else
    one by one, and `stuck` is never seen.
    """
    while s.now < last and not is_done(s):
        cycles = still(s, insns) if leaps else 0
        if s.stuck:
            return
        if cycles > 0:
            leap(s, min(cycles, last - s.now))
        else:
            cycle(s, insns, own, times, uops, dram)
