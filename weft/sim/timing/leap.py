"""Cycles in which nothing happens but that beats stream: how many there are, and what the machine is after them.

Machine.cycle is the meaning; this is only faster. A cycle may be leapt over if every part either stands still in it or moves
one beat, or one element of padding, as it does in the next.
"""

from .bursts import KNOWN, burst_beats
from .compute import DECODED, is_done, is_taken, may_be_taken, may_begin, must_not_fill
from .dram import ONE, sample_reads
from .fetch import COLLECTED
from .jit import compiled
from .machine import compute_moves, is_counted, load_moves, may_load, store_moves
from .state import (ALU, COMPUTE, COMPUTES, ENTRIES, FETCH, LOAD, LOADS, MOVE, MULTIPLY, READERS, REQUESTS, STORE,
                    STORE_ENDS, STORES)
from .store import asks_burst, is_reached, is_walked, may_ask, may_store, shows_beat
from .tokens import gate, has_room
from .unpack import in_padding

EVER = 1 << 60


@compiled
def takes_beats(u):
    """Beats that an unpacker with a beat an element, or more, takes one after the other and is not done: of its row, and of
    those behind it where no padding stands between. The last one is left out where a row, or the block, ends with it."""
    if u.x_pad == 0 and u.x_end == u.width:
        return ((u.y_end - u.y) * u.width - u.x) * u.parts - u.part - 1
    return (u.x_end - u.x) * u.parts - u.part - (u.x_end == u.width)


@compiled
def comes(s, client):
    """Beats of a client that DRAM shows one after the other behind the one that it shows."""
    request = s.reads[s.reads_first]
    beats = request.beats
    if not s.arready:  # it would be, as soon as a request is served
        return beats
    for n in range(1, s.reads_count):
        request = s.reads[s.reads_first + n & REQUESTS - 1]
        if request.client != client or request.ready > s.now + beats + 1:
            break
        beats += request.beats
    return beats


@compiled
def streams(s):
    """The client whose unpacker takes a beat in this cycle and has the next one coming; -1: none."""
    if not s.held or s.owner == FETCH:
        return -1
    u = s.unpackers[s.owner]
    if not u.running or in_padding(u):
        return -1
    return s.owner


@compiled
def moves_on(s, engine):
    """What holds the first of those that wait for an engine changes in this cycle."""
    line = s.lines[engine]
    return line.begins or line.count and not line.holds or line.able != may_be_taken(s, engine) or is_taken(s, engine)


@compiled
def still_compute(s, insns):
    """The compute module behind its queue: as `still_modules`."""
    cycles = EVER
    if s.late != s.loads_uop or s.modules[COMPUTES].shown and not s.decoded or s.in_flight and is_done(s, s.oldest):
        return 0
    if s.decoded and (s.decoded < DECODED or s.was_read != s.is_read or s.is_read != must_not_fill(s, insns)
                      or s.ready != may_begin(s, insns)):
        return 0
    if s.ended or moves_on(s, MULTIPLY) or moves_on(s, ALU) or moves_on(s, MOVE):
        return 0
    for n in range(s.in_flight):
        done = s.entries[s.oldest + n & ENTRIES - 1].done
        if done >= s.now:
            cycles = min(cycles, done - s.now)
    for engine in (MULTIPLY, ALU):
        if s.now <= s.issues[engine].until:
            cycles = min(cycles, s.issues[engine].until - s.now)
    return 0 if cycles == 0 or passes(s, COMPUTES, s.decoded == DECODED, s.ready) else cycles


@compiled
def passes(s, module, valid, free):
    """An instruction takes its tokens in this cycle, or begins."""
    pops, starts = gate(s, module, valid, free)
    return pops or starts or s.modules[module].pops or s.modules[module].starts


@compiled
def still_modules(s, insns):
    """Modules, queues and fetch: 0 if one of them does something in this cycle, else for how many cycles none does."""
    if s.launching and s.left == 0:
        return 0
    if s.whole == COLLECTED or s.whole and has_room(s.modules[insns[s.handed].module]) or not s.whole and s.level and s.left:
        return 0
    if s.inner and not s.level:
        return 0
    for module in range(3):
        me = s.modules[module]
        if me.inner and not me.ready or me.ready and not me.shown:
            return 0
    load, store, walked = s.clients[LOAD], s.clients[STORE], is_walked(s)
    if load.ready != may_load(s) or store.ready != may_store(s, walked):
        return 0
    if passes(s, LOADS, s.modules[LOADS].shown, load.ready) or passes(s, STORES, s.modules[STORES].shown, store.ready):
        return 0
    if walked and s.waits_count < STORE_ENDS or s.reached or is_reached(s):
        return 0
    return still_compute(s, insns)


@compiled
def still_requests(s, streaming):
    """Splitters and the read address channel, while the client `streaming` gets a beat a cycle."""
    cycles = EVER
    for which in range(READERS):
        client = s.clients[which]
        if client.left == 0:
            if client.rows:
                return 0
            continue
        missing = burst_beats(s, client) - client.credits
        if client.age < KNOWN or client.enough != (missing <= 0):
            return 0
        if missing <= 0:
            if not s.arvalid or s.arready:
                return 0
        elif which == streaming:
            cycles = min(cycles, missing)
    return cycles


@compiled
def still_beats(s, streaming):
    """Beats of the read channel: they stream, or wait for a client, or for DRAM."""
    if streaming >= 0:
        u = s.unpackers[streaming]
        if u.ended or u.gone or u.slots > 1 or s.held == 2 or not s.rvalid or s.rid != streaming:
            return 0
        return min(comes(s, streaming), takes_beats(u))
    if s.held and s.owner == FETCH or s.held < 2 and s.rvalid:
        return 0
    if s.rvalid:
        return EVER
    if s.reads_count == 0:
        return s.latency if s.arvalid and s.arready else EVER
    return s.reads[s.reads_first].ready - 1 - s.now


@compiled
def still_unpacker(s, which):
    """An unpacker that takes no beat."""
    u, client = s.unpackers[which], s.clients[which]
    if u.ended or u.gone or u.begun:
        return 0
    if not u.running:
        return 0 if client.waiting else EVER
    if u.empty:
        return 0
    if not in_padding(u):
        return EVER
    if u.deep:
        return 0
    if u.y_pad <= u.y < u.y_end and u.x < u.x_pad:
        return u.x_pad - u.x
    if u.slots == 1 and u.y_pad <= u.y + 1 < u.y_end:  # and the padding before the next row
        return u.width - u.x + u.x_pad
    return u.width - u.x - 1


@compiled
def still_writes(s):
    """The store module and the write channels."""
    client, cycles = s.clients[STORE], EVER
    if (s.bvalid or s.awvalid and s.awready or client.left == 0 and client.rows or client.left and client.age < KNOWN
            or s.room != may_ask(s)):
        return 0
    if s.answers_count:
        cycles = s.answers[s.answers_first] - 1 - s.now
    shows = shows_beat(s)
    given = s.relayed > 0 and s.write_left > 0
    if asks_burst(s, given):
        return 0
    if given:
        if s.relayed == 2 or not shows or client.slots > 1 or s.pack_y == 0 or not s.pack_got or s.writes_count == 0:
            return 0
        to_read = s.pack_x * client.parts - s.pack_part
        return min(cycles, s.write_left - 1, s.writes[s.writes_first] - 1, to_read - 1)
    if shows and s.relayed < 2 or s.pack_full and not shows or s.pack_got and not s.pack_full or s.pack_y and not s.pack_got:
        return 0
    return cycles


@compiled
def still(s, insns):
    """For how many cycles, this one the first, `leap` may stand for `cycle`."""
    if s.rate != ONE:
        return 0
    cycles = still_modules(s, insns)
    if cycles <= 0:
        return 0
    streaming = streams(s)
    cycles = min(cycles, still_beats(s, streaming))
    if cycles <= 0:
        return 0
    cycles = min(cycles, still_requests(s, streaming), still_writes(s))
    for which in (COMPUTE, LOAD):
        if which != streaming:
            cycles = min(cycles, still_unpacker(s, which))
    if cycles == EVER:
        s.stuck = 1
    return cycles


@compiled
def pass_elements(u, count):
    """An unpacker goes on by so many elements, into further rows too."""
    x = u.x + count
    u.x, u.y = x % u.width, u.y + x // u.width


@compiled
def show_beats(s, count):
    """DRAM shows the beat that stands so far behind."""
    while count > 0:
        request = s.reads[s.reads_first]
        if s.rlast:
            s.reads_first = s.reads_first + 1 & REQUESTS - 1
            s.reads_count -= 1
            request = s.reads[s.reads_first]
        taken = min(count, request.beats)
        request.beats -= taken
        count -= taken
        s.rlast = request.beats == 0


@compiled
def leap(s, cycles):
    """What so many cycles do, as `still` has counted them."""
    if is_counted(s):
        s.load_busy += cycles if load_moves(s) else 0
        s.compute_busy += cycles if compute_moves(s) else 0
        s.store_busy += cycles if store_moves(s) else 0
    streaming = streams(s)
    for which in (COMPUTE, LOAD):
        u = s.unpackers[which]
        if which == streaming:
            beats = u.part + cycles
            u.part = beats % u.parts
            pass_elements(u, beats // u.parts)
            show_beats(s, cycles)
            s.clients[which].credits += cycles
            if is_counted(s):
                s.read_beats += cycles
        elif u.running and not u.empty and in_padding(u):
            pass_elements(u, cycles)
    if s.arvalid and s.arready:  # in the first of these cycles
        sample_reads(s, False)
        s.arvalid = 0
        s.arready = s.reads_count < s.outstanding
    if s.relayed and s.write_left > 0:
        client = s.clients[STORE]
        to_read, parts = s.pack_x * client.parts - s.pack_part, s.pack_part + cycles
        s.full_last = to_read - cycles + 2 <= client.parts if cycles > 1 else s.got_last
        s.got_last = to_read - cycles + 1 <= client.parts
        s.pack_x -= parts // client.parts
        s.pack_part = parts % client.parts
        s.write_left -= cycles
        s.writes[s.writes_first] -= cycles
        s.write_beats += cycles
    s.now += cycles
