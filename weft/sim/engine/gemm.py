"""GEMM. Sums of int32 commute, so its steps are planned anew: what is added to one element of ACC is summed in registers.

The plan of an instruction: loops in which the weight stays give *positions*, (offset in INP, offset in ACC); micro-ops,
times the turns of the other loops, give *entries* (ACC, INP, WGT), grouped by element of ACC. A tile takes some positions
through all entries of a group. A loop whose turns may meet in one element of ACC never becomes positions.
"""

from llvmlite import ir

from weft.llvm.values import I32, I64, Pointer, Value, Variable, loop, when

from .context import KERNEL, Context, Nest
from .gemm_tile import tiles
from .state import entries_room

ENTRY, SORTED, GROUP, POSITION = 16, 8, 16, 8  # bytes of one; see State


def kernel(begin, config) -> ir.Function:
    """The whole instruction: (state, record) -> 0, or 1 where an address is out of range."""
    reset, products = _reset(begin), _products(begin, tiles(begin))
    c: Context = begin("gemm", KERNEL)
    nest = Nest(c)
    most = nest.largest()
    c.refuse_unless((most["dst"] < config.acc_depth) & nest.keeps_to_a_half(most, "dst"))
    with when(c.field("reset").differs(0)):
        c.count("acc_writes", nest.steps)
        c.builder.call(reset, c.function.args)
        c.done()
    c.refuse_unless((most["src"] < config.inp_depth) & (most["wgt"] < config.wgt_depth))
    c.count("acc_writes", nest.steps)
    c.count("gemm_steps", nest.steps)
    c.builder.call(products, c.function.args)
    c.done()
    return c.function


def _reset(begin) -> ir.Function:
    c: Context = begin("gemm_reset", KERNEL)
    nest = Nest(c)
    with nest.turns("out") as out, nest.turns("in") as in_, loop(c.builder, nest.uops) as k:
        place = c.element("acc", nest.micro_op(k)["dst"] + nest.offset("dst", out, in_))
        c.fill(place, 0, c.number(c.config.acc_bytes))
    c.done()
    return c.function


class _Turns:
    """How the turns of a loop are shared out: all are `positions`, or `entries`, or `apart`, one plan after the other; the
    others are 1."""

    def __init__(self, trips: Value, stays: Value, fewer: Value):
        """stays: its turns become positions. fewer: how many turns entries have room for."""
        one = trips.like(1)
        self.positions = stays.select(trips, one)
        rest = stays.select(one, trips)
        fits = rest <= fewer
        self.entries, self.apart = fits.select(rest, one), fits.select(one, rest)


def _shared_out(c: Context, nest: Nest) -> dict[str, _Turns]:
    trips, factors = nest.trips, nest.factors
    fixed = {name: factors["wgt", name].equals(0) & factors["dst", name].differs(0) for name in ("in", "out")}
    room = c.number(entries_room(c.config)).divided(nest.uops)
    inner = _Turns(trips["in"], fixed["in"], room)
    # Two loops of positions must never meet in one element: the steps of one pass over all turns of the other.
    apart = ((factors["dst", "out"] > factors["dst", "in"] * (inner.positions - 1))
             | (factors["dst", "in"] > factors["dst", "out"] * (trips["out"] - 1)) | inner.positions.equals(1))
    return {"in": inner, "out": _Turns(trips["out"], fixed["out"] & apart, room.divided(inner.entries))}


def _products(begin, run_tiles: ir.Function) -> ir.Function:
    c: Context = begin("gemm_products", KERNEL)
    nest = Nest(c)
    turns = _shared_out(c, nest)
    b, out, in_ = c.builder, turns["out"], turns["in"]
    _write_positions(c, nest, out.positions, in_.positions)
    positions = out.positions * in_.positions * c.config.batch
    with loop(b, out.apart) as first_out, loop(b, in_.apart) as first_in:
        entries, groups = Variable(b, c.number(0)), Variable(b, c.number(0))
        with loop(b, out.entries) as next_out, loop(b, in_.entries) as next_in:
            _write_entries(c, nest, (first_out + next_out, first_in + next_in), entries, groups)
        _sort_entries(c, entries.get(), groups.get())
        with loop(b, groups.get()) as k:
            group = c.array("groups") + k * GROUP
            dst, count, end = ((group + 4 * n).load(I32, 4).sext(I64) for n in range(3))
            first = c.array("sorted") + (end - count) * SORTED
            b.call(run_tiles, [c.function.args[0], c.element("acc", dst).ir, first.ir, count.ir, positions.ir])
    c.done()
    return c.function


def _write_positions(c: Context, nest: Nest, outer: Value, inner: Value):
    """(byte offset in operand_inp, byte offset in ACC) of every row of every position."""
    b, config = c.builder, c.config
    place = Variable(b, c.array("positions"))
    with loop(b, outer) as out, loop(b, inner) as in_:
        src, dst = nest.offset("src", out, in_), nest.offset("dst", out, in_)
        with loop(b, config.batch) as row:
            source = (src * config.batch + row) * c.sizes.inp
            _store_pair(place.get(), source, dst * config.acc_bytes + row * (4 * config.block_out))
            place.set(place.get() + POSITION)


def _store_pair(place: Pointer, first: Value, second: Value):
    place.store(first.trunc(I32), 4)
    (place + 4).store(second.trunc(I32), 4)


def _write_entries(c: Context, nest: Nest, turns: tuple[Value, Value], entries: Variable, groups: Variable):
    """An entry for each micro-op in these turns; the first one of an element of ACC opens a group."""
    b = c.builder
    out, in_ = turns
    with loop(b, nest.uops) as k:
        op = nest.micro_op(k)
        dst, src, wgt = (op[kind] + nest.offset(kind, out, in_) for kind in ("dst", "src", "wgt"))
        slot = c.array("slots") + dst * 4  # 1 + the group of this element, 0 where there is none
        with when(slot.load(I32, 4).equals(0)):
            opened = c.array("groups") + groups.get() * GROUP
            _store_pair(opened, dst, c.number(0))
            groups.set(groups.get() + 1)
            slot.store(groups.get().trunc(I32), 4)
        group = slot.load(I32, 4) - 1
        size = c.array("groups") + group * GROUP + 4
        size.store(size.load(I32, 4) + 1, 4)
        entry = c.array("entries") + entries.get() * ENTRY
        _store_pair(entry, src * (c.config.batch * c.sizes.inp), wgt)
        (entry + 8).store(group, 4)
        entries.set(entries.get() + 1)


def _sort_entries(c: Context, entries: Value, groups: Value):
    """Entries of a group beside one another; `end` of a group counts up to where they end. Slots are emptied."""
    b = c.builder
    start = Variable(b, c.number(0))
    with loop(b, groups) as k:
        group = c.array("groups") + k * GROUP
        (group + 8).store(start.get().trunc(I32), 4)
        start.set(start.get() + (group + 4).load(I32, 4).sext(I64))
        slot = c.array("slots") + group.load(I32, 4).sext(I64) * 4
        slot.store(c.number(0).trunc(I32), 4)
    with loop(b, entries) as k:
        entry = c.array("entries") + k * ENTRY
        end = c.array("groups") + (entry + 8).load(I32, 4).sext(I64) * GROUP + 8
        place = end.load(I32, 4)
        (c.array("sorted") + place.sext(I64) * SORTED).store(entry.load(I64, 4), 4)
        end.store(place + 1, 4)
