"""Rows of DRAM, and the bursts that they become: RowWalker of weft/hw/dma.py, weft/hw/bursts.py."""

from .jit import compiled
from .state import STORE

KNOWN = 3  # cycles until the splitter knows a burst


@compiled
def row_beats(s, client):
    """Beats that the row at the walker's address touches."""
    if client.slots == 1:
        return client.x_size * client.parts
    first = client.address >> client.element_bits & client.slots - 1
    return first + client.x_size + client.slots - 1 >> s.beat_bits - client.element_bits


@compiled
def burst_beats(s, client):
    """Beats of the burst that the splitter asks for next: it stays in its page."""
    to_page = s.page_beats - (client.at & s.page_beats - 1)
    return min(client.left, to_page, client.max_burst)


@compiled
def asks(s, which):
    """Beats of the burst that a client asks for in this cycle; 0: none."""
    client = s.clients[which]
    if client.age < KNOWN or not client.enough:
        return 0
    return burst_beats(s, client)


@compiled
def move_rows(s, times, which, granted):
    """A burst of `granted` beats, or 0, was taken in this cycle: the splitter goes on in its row, or takes one if it has
    none."""
    client = s.clients[which]
    if client.left:
        client.enough = which == STORE or client.credits >= burst_beats(s, client)
        client.age = 0 if granted else min(client.age + 1, KNOWN)
        client.left -= granted
        client.at += granted
        client.credits -= granted
    elif client.rows > 0:
        client.left, client.age = row_beats(s, client), 0
        client.at = client.address >> s.beat_bits
        client.rows -= 1
        client.address = client.address + client.stride & 0xFFFFFFFF
        times[client.index].beats += client.left


@compiled
def walk(s, insns, which, index):
    """The walker begins an instruction's rows."""
    insn, client = insns[index], s.clients[which]
    client.index, client.rows = index, insn.rows
    client.address, client.stride, client.x_size = insn.address, insn.stride, insn.x_size
    client.parts, client.slots, client.element_bits = insn.parts, insn.slots, insn.element_bits
