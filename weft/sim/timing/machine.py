"""One cycle of the whole machine.

A cycle is what lies between two rising edges. All that is decided in it follows from the registers as they stand before it:
hence the order here, what ends and begins first, then what becomes of the registers, tokens last.
"""

from .bursts import asks, move_rows, walk
from .compute import (DECODED, MOVE_TO_DONE, begin_compute, decode_cycle, end_oldest, hold, is_taken, leave_line, place,
                      take, tell_done)
from .dram import drive_reads, drive_writes, sample_reads
from .fetch import BUFFER_BEATS, begin_fetch, hand_out, move_buffer
from .jit import compiled
from .state import ALU, COMPUTE, COMPUTES, ENTRIES, FETCH, LOAD, LOADS, MOVE, MULTIPLY, READERS, STORE, STORES
from .store import begin_store, end_store, is_walked, may_store, write_cycle
from .tokens import end, gate, move_queue, pass_gate, take_head
from .unpack import BEGUN, begin_unpack, unpack


@compiled
def load_moves(s):
    u = s.unpackers[LOAD]
    return u.running or u.begun or s.clients[LOAD].waiting


@compiled
def compute_moves(s):
    return s.in_flight > 0 or s.ended > 0


@compiled
def store_moves(s):
    return s.active or s.waits_count


@compiled
def is_counted(s):
    """The launch still runs: counters count."""
    return s.finished < 0 or s.now <= s.finished


@compiled
def unpack_cycle(s, which):
    """A cycle of an unpacker. Returns (it takes a beat, the instruction that it ends; -1: none)."""
    u = s.unpackers[which]
    takes, ended = False, u.gone - 1  # the registers behind the unpacker have an instruction's last beat
    u.gone, u.ended = u.ended, 0
    if u.running:
        takes, done = unpack(u, s.held and s.owner == which)
        if done:
            u.running, u.ended = 0, u.index + 1
            if which == COMPUTE:
                s.entries[u.entry].done = s.now + MOVE_TO_DONE
    if u.begun == BEGUN:
        u.begun, u.running = 0, 1
    elif u.begun:
        u.begun += 1
    return takes, ended


@compiled
def may_load(s):
    """The load module can begin an instruction, in the next cycle then."""
    return s.clients[LOAD].rows == 0 and not s.clients[LOAD].waiting


@compiled
def takes_over(s, which):
    """The unpacker takes the command that waits for it at the end of this cycle."""
    u, client = s.unpackers[which], s.clients[which]
    return client.waiting and not u.running and not u.begun


@compiled
def take_over(s, insns, which):
    client = s.clients[which]
    begin_unpack(s, insns, which, client.next, client.entry)
    client.waiting = 0


@compiled
def read_cycle(s, times, taker, emptied):
    """A cycle of the memory engine's read side. taker: the client that takes a beat; -1: none. emptied: fetch is through
    one."""
    free = not s.arvalid or s.arready
    beat = s.rvalid and s.held < 2
    sample_reads(s, beat)
    if free:
        s.arvalid = 0
    for which in range(READERS):
        granted = asks(s, which) if free else 0
        if granted:
            free = False
            s.arvalid, s.ar_client, s.ar_beats = 1, which, granted
        if s.clients[which].left or s.clients[which].rows:
            move_rows(s, times, which, granted)
    if taker == LOAD or taker == COMPUTE:
        s.clients[taker].credits += 1
    if emptied:
        s.clients[FETCH].credits += 1
    if taker >= 0:
        s.held, s.owner = s.held - 1, s.behind
    if beat:
        s.behind = s.rid
        if s.held == 0:
            s.owner = s.rid
        s.held += 1
        s.read_beats += is_counted(s)


@compiled
def begin_move(s, insns, which, index, entry):
    """A LOAD's rows are asked for from the next cycle on, and it waits for the unpacker."""
    walk(s, insns, which, index)
    client = s.clients[which]
    client.waiting, client.next, client.entry = 1, index, entry


@compiled
def begin(s, insns, own, times, uops, dram, module):
    """The instruction at the head of a module's queue begins in this cycle."""
    me = s.modules[module]
    index = me.head
    times[index].start = s.now
    me.begun += 1
    take_head(s, insns, own, module)
    if module == LOADS:
        begin_move(s, insns, LOAD, index, 0)
    elif module == COMPUTES:
        begin_compute(s, insns, uops, dram, index)
    else:
        begin_store(s, insns, index)


@compiled
def cycle(s, insns, own, times, uops, dram):
    """The cycle `now`; afterwards `now` is the next."""
    load_idle, compute_idle, store_idle = not load_moves(s), not compute_moves(s), not store_moves(s)
    load_takes_over, compute_takes_over = takes_over(s, LOAD), takes_over(s, COMPUTE)
    takes_load, loaded = unpack_cycle(s, LOAD)
    takes_compute, _ = unpack_cycle(s, COMPUTE)
    computed, ends = s.ended - 1, end_oldest(s)
    s.ended = ends + 1
    if computed >= 0 and insns[computed].finish and s.finished < 0:
        s.finished = s.now
    counted, launches = is_counted(s), s.launching and s.left == 0
    multiplies, operates, moves = s.lines[MULTIPLY].begins, s.lines[ALU].begins, s.lines[MOVE].begins
    multiply_next, operate_next, move_next = is_taken(s, MULTIPLY), is_taken(s, ALU), is_taken(s, MOVE)
    walked = is_walked(s)
    load_queue, compute_queue, store_queue = s.modules[LOADS], s.modules[COMPUTES], s.modules[STORES]
    load_begins, compute_begins, store_begins = load_queue.starts, compute_queue.starts, store_queue.starts
    load_pops, load_starts = gate(s, LOADS, load_queue.shown, s.clients[LOAD].ready)
    compute_pops, compute_starts = gate(s, COMPUTES, s.decoded == DECODED, s.ready)
    store_pops, store_starts = gate(s, STORES, store_queue.shown, s.clients[STORE].ready)
    s.clients[LOAD].ready, s.clients[STORE].ready = may_load(s), may_store(s, walked)
    stored = end_store(s, walked)
    if counted:
        s.load_busy += load_begins or not load_idle
        s.compute_busy += compute_begins or not compute_idle
        s.store_busy += store_begins or not store_idle

    emptied, handed = hand_out(s, insns, times)
    takes_fetch = s.held and s.owner == FETCH and s.inner != BUFFER_BEATS - 1
    move_buffer(s, takes_fetch, emptied)
    decodes = compute_queue.shown and s.decoded == 0
    decode_cycle(s, insns, decodes, compute_begins)
    move_queue(load_queue, handed == LOADS, load_begins)
    move_queue(compute_queue, handed == COMPUTES, decodes)
    move_queue(store_queue, handed == STORES, store_begins)
    read_cycle(s, times, LOAD if takes_load else COMPUTE if takes_compute else FETCH if takes_fetch else -1, emptied)
    write_cycle(s, times)
    drive_reads(s)
    drive_writes(s)

    pass_gate(s, LOADS, load_pops, load_starts)
    pass_gate(s, COMPUTES, compute_pops, compute_starts)
    pass_gate(s, STORES, store_pops, store_starts)
    tell_done(s)
    hold(s, MULTIPLY, multiply_next)
    hold(s, ALU, operate_next)
    hold(s, MOVE, move_next)
    if multiplies:
        take(s, insns, times, uops, MULTIPLY)
        leave_line(s, MULTIPLY)
    if operates:
        take(s, insns, times, uops, ALU)
        leave_line(s, ALU)
    if moves:
        first = place(s, MOVE, 0)
        begin_move(s, insns, COMPUTE, first.index, first.entry)
        leave_line(s, MOVE)
    if computed >= 0:
        end(s, insns, times, COMPUTES, computed)
    if ends >= 0:
        s.oldest = s.oldest + 1 & ENTRIES - 1
        s.in_flight -= 1
    if loaded >= 0:
        end(s, insns, times, LOADS, loaded)
    if stored >= 0:
        end(s, insns, times, STORES, stored)
    if load_takes_over:
        take_over(s, insns, LOAD)
    if compute_takes_over:
        take_over(s, insns, COMPUTE)
    if load_begins:
        begin(s, insns, own, times, uops, dram, LOADS)
    if compute_begins:
        begin(s, insns, own, times, uops, dram, COMPUTES)
    if store_begins:
        begin(s, insns, own, times, uops, dram, STORES)
    if launches:
        begin_fetch(s)
    s.now += 1
