"""The store module: elements of OUT become beats, rows bursts, answers ends (weft/hw/store.py, memory_write.py)."""

from .bursts import asks, move_rows, walk
from .dram import sample_writes
from .jit import compiled
from .state import MOVES, STORE, STORE_ENDS

BURSTS_AHEAD = 64  # bursts whose answers have not come


@compiled
def is_walked(s):
    """All bursts of the running instruction are asked for, and its elements are read."""
    client = s.clients[STORE]
    return s.active and client.rows == 0 and client.left == 0 and s.pack_y == 0


@compiled
def may_store(s, walked):
    return not s.active or walked and s.waits_count < STORE_ENDS


@compiled
def is_reached(s):
    """The first that waits for answers has all of its own, and ends in the next cycle."""
    return not s.reached and s.waits_count > 0 and s.answered >= s.waits[s.waits_first].asked


@compiled
def end_store(s, walked):
    """The instruction that is walked waits for answers from now on. Returns the one that has all of its own; -1: none."""
    ended = s.waits[s.waits_first].index if s.reached else -1
    s.reached = is_reached(s)
    if walked and s.waits_count < STORE_ENDS:
        wait = s.waits[s.waits_first + s.waits_count & STORE_ENDS - 1]
        wait.asked, wait.index = s.asked, s.index
        s.waits_count += 1
        s.active = 0
    if ended >= 0:
        s.waits_first = s.waits_first + 1 & STORE_ENDS - 1
        s.waits_count -= 1
    return ended


@compiled
def shows_beat(s):
    """The packer has a beat: its last element is in it, or the last of a row."""
    slots = s.clients[STORE].slots
    return s.pack_full and (s.full_last or s.full_slot == slots - 1)


@compiled
def may_ask(s):
    """In the next cycle a burst may be asked for."""
    return s.asked - s.answered < BURSTS_AHEAD


@compiled
def asks_burst(s, given):
    """Beats of the burst that the memory engine takes in this cycle, in which a beat is `given` or not; 0: none."""
    takes = (not s.awvalid or s.awready) and (s.write_left == 0 or given and s.write_left == 1)
    return asks(s, STORE) if takes and s.room else 0


@compiled
def write_cycle(s, times):
    """A cycle of packer, splitter, memory engine and the write channels' handshakes."""
    shows = shows_beat(s)
    goes_on = not shows or s.relayed < 2  # two beats may wait for their burst, and for DRAM
    given = s.relayed > 0 and s.wready and s.write_left > 0
    granted = asks_burst(s, given)
    s.room = may_ask(s)
    pack(s, goes_on)
    if shows and goes_on:
        s.relayed += 1
    if given:
        s.relayed -= 1
    s.answered += s.bvalid
    s.write_beats += given
    sample_writes(s, given)
    if s.awready:
        s.awvalid = 0
    s.write_left -= given
    if granted:
        s.awvalid, s.aw_beats, s.write_left = 1, granted, granted
        s.asked += 1
    if s.clients[STORE].left or s.clients[STORE].rows:
        move_rows(s, times, STORE, granted)


@compiled
def pack(s, goes_on):
    """The packer's three stages: the first reads a part of an element if the second has nothing, or gives it on to the
    third."""
    moves = not s.pack_full or goes_on
    reads = s.pack_y > 0 and (not s.pack_got or moves)
    if moves:
        if s.pack_got:
            s.full_slot, s.full_last = s.got_slot, s.got_last
        s.pack_full, s.pack_got = s.pack_got, 0
    if not reads:
        return
    client = s.clients[STORE]
    s.pack_got, s.got_slot, s.got_last = 1, s.pack_slot, s.pack_x == 1
    s.pack_part += 1
    if s.pack_part < client.parts:
        return
    s.pack_part = 0
    s.pack_x -= 1
    s.pack_slot = s.pack_slot + 1 & client.slots - 1
    if s.pack_x == 0:
        s.pack_x = client.x_size
        s.pack_y -= 1
        s.pack_row_slot = s.pack_row_slot + (client.stride >> client.element_bits) & client.slots - 1
        s.pack_slot = s.pack_row_slot


@compiled
def begin_store(s, insns, index):
    """An instruction begins at the end of this cycle."""
    insn = insns[index]
    s.active, s.index = 1, index
    if insn.work == MOVES:
        walk(s, insns, STORE, index)
        s.pack_x, s.pack_y, s.pack_part = insn.x_size, insn.rows, 0
        s.pack_slot = s.pack_row_slot = insn.address >> insn.element_bits & insn.slots - 1
