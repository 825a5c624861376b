"""DRAM behind AXI4, as weft/sim/rtl/memory.h but for its stalls: a read's first beat shows 1 + latency cycles later."""

from .jit import compiled
from .state import REQUESTS

ONE = 65536  # of a beat: what a channel must have saved up to move one


@compiled
def sample_reads(s, beat):
    """The handshakes of the read channels at the end of a cycle; `beat`: the one that is shown is taken."""
    if beat:
        s.rvalid = 0
        if s.rlast:
            s.reads_first = s.reads_first + 1 & REQUESTS - 1
            s.reads_count -= 1
            s.sending = 0
    if s.arvalid and s.arready:
        request = s.reads[s.reads_first + s.reads_count & REQUESTS - 1]
        request.ready, request.beats, request.client = s.now + 1 + s.latency, s.ar_beats, s.ar_client
        s.reads_count += 1


@compiled
def drive_reads(s):
    """What the read channels show in the next cycle."""
    s.read_credit = min(ONE, s.read_credit + s.rate)
    s.arready = s.reads_count < s.outstanding
    if s.rvalid or s.reads_count == 0 or s.read_credit < ONE:
        return
    request = s.reads[s.reads_first]
    if s.sending or request.ready <= s.now + 1:
        request.beats -= 1
        s.sending = s.rvalid = 1
        s.rid, s.rlast = request.client, request.beats == 0
        s.read_credit -= ONE


@compiled
def sample_writes(s, given):
    """The handshakes of the write channels at the end of a cycle; `given`: a beat is taken."""
    s.bvalid = 0
    if s.awvalid and s.awready:
        s.writes[s.writes_first + s.writes_count & REQUESTS - 1] = s.aw_beats
        s.writes_count += 1
    if given:
        s.unmatched += 1
        s.write_credit -= ONE
    while s.writes_count and s.unmatched:
        s.unmatched -= 1
        s.writes[s.writes_first] -= 1
        if s.writes[s.writes_first] == 0:
            s.answers[s.answers_first + s.answers_count & REQUESTS - 1] = s.now + 1 + s.write_latency
            s.answers_count += 1
            s.writes_first = s.writes_first + 1 & REQUESTS - 1
            s.writes_count -= 1


@compiled
def drive_writes(s):
    """What the write channels show in the next cycle."""
    s.write_credit = min(ONE, s.write_credit + s.rate)
    s.awready = s.writes_count + s.answers_count < s.outstanding
    s.wready = s.write_credit == ONE
    if s.answers_count and s.answers[s.answers_first] <= s.now + 1:
        s.answers_first = s.answers_first + 1 & REQUESTS - 1
        s.answers_count -= 1
        s.bvalid = 1
