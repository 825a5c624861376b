"""The queue of instructions before a module, and the gate of tokens (weft/hw/instructions.py, tokens.py)."""

from weft.isa.registers import TOKEN_QUEUE_DEPTH, Queue

from .jit import compiled

QUEUE_DEPTH = 64  # instructions that wait before a module
# What pop_prev, pop_next, push_prev and push_next mean to load, compute and store; -1: there is no such neighbour.
POP_PREV = (-1, int(Queue.LOAD_TO_COMPUTE), int(Queue.COMPUTE_TO_STORE))
POP_NEXT = (int(Queue.COMPUTE_TO_LOAD), int(Queue.STORE_TO_COMPUTE), -1)
PUSH_PREV = (-1, int(Queue.COMPUTE_TO_LOAD), int(Queue.STORE_TO_COMPUTE))
PUSH_NEXT = (int(Queue.LOAD_TO_COMPUTE), int(Queue.COMPUTE_TO_STORE), -1)


@compiled
def take_head(s, insns, own, module):
    """The gate sees the next instruction of the module's own."""
    me = s.modules[module]
    if me.begun == me.total:
        return
    me.head = own[module, me.begun]
    insn = insns[me.head]
    me.pop_prev, me.pop_next, me.push_prev, me.push_next = insn.pop_prev, insn.pop_next, insn.push_prev, insn.push_next


@compiled
def gate(s, module, valid, free):
    """A cycle of a module's gate. valid: an instruction is there; free: the module could begin it.

    Returns (it takes its tokens in the next cycle, it begins in the next cycle)."""
    me = s.modules[module]
    if not valid or not free or me.starts:
        return False, False
    if not me.popped and not me.pops:
        pops = not (me.pop_prev and s.tokens[POP_PREV[module]].count == 0
                    or me.pop_next and s.tokens[POP_NEXT[module]].count == 0)
        return pops, False
    starts = not (me.push_prev and s.tokens[PUSH_PREV[module]].reserved == TOKEN_QUEUE_DEPTH
                  or me.push_next and s.tokens[PUSH_NEXT[module]].reserved == TOKEN_QUEUE_DEPTH)
    return False, starts


@compiled
def pass_gate(s, module, pops, starts):
    """The tokens that move at the end of a cycle as an instruction passes the gate. pops, starts: of `gate`."""
    me = s.modules[module]
    if me.pops:
        if me.pop_prev:
            take(s.tokens[POP_PREV[module]])
        if me.pop_next:
            take(s.tokens[POP_NEXT[module]])
    begins = me.starts
    if begins:
        if me.push_prev:
            s.tokens[PUSH_PREV[module]].reserved += 1
        if me.push_next:
            s.tokens[PUSH_NEXT[module]].reserved += 1
    me.popped, me.pops, me.starts = (me.popped or me.pops) and not begins, pops, starts


@compiled
def take(token):
    token.count -= 1
    token.reserved -= 1


@compiled
def end(s, insns, times, module, index):
    """An instruction ends in this cycle: its tokens are there from the next."""
    insn = insns[index]
    times[index].end = s.now
    s.modules[module].ended += 1
    if insn.push_prev:
        s.tokens[PUSH_PREV[module]].count += 1
    if insn.push_next:
        s.tokens[PUSH_NEXT[module]].count += 1


@compiled
def has_room(me):
    return me.inner != QUEUE_DEPTH - 1


@compiled
def move_queue(me, written, read):
    """The end of a cycle of a module's queue; `read`: the module takes the instruction that it shows."""
    free = not me.shown
    moves = me.inner > 0 and (not me.ready or free)
    me.shown = me.ready if free else not read
    me.inner += written
    me.inner -= moves
    if moves:
        me.ready = 1
    elif free:
        me.ready = 0
