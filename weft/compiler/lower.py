"""Lowering: bound inference, and from a schedule to a loop program.

Stages are placed from the outputs back to what they read. The place of a stage fixes the loops around it; the region that
its readers touch while those loops stand still is what it computes there, and gives its buffer's shape. Loops of one turn
vanish.
"""

from dataclasses import dataclass, field

from weft.isa import WeftError

from . import te
from .bounds import Extent, Linear, constant, divided, extent_expr, interval, maximum, prune
from .expr import Binary, Const, Expr, Load, as_expr, binary, substitute
from .schedule import Schedule, Split, Stage
from .stmt import CPU_SCOPES, Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store
from .te import Axis, Reduce, Tensor


@dataclass(frozen=True, eq=False)
class Loop:
    """One loop around a stage; thread: whether its turns are threads of a block."""

    axis: Axis
    extent: Extent
    thread: bool = False


@dataclass
class Placed:
    """A stage in its place.

    around: the loops outside. loops: its own leaves, those of one turn left out. low: where its region begins along each
    axis of data. values: each of its axes as an expression of the loops. buffer: what holds the region.
    """

    stage: Stage
    around: list[Loop]
    low: list[Linear]
    buffer: Buffer
    loops: list[Loop] = field(default_factory=list)
    values: dict[Axis, Expr] = field(default_factory=dict)
    inside: dict[Axis, list["Placed"]] = field(default_factory=dict)  # stages computed within each of its leaves


class _Lowering:
    def __init__(self, schedule: Schedule, arguments: dict[str, Tensor]):
        self.stages = schedule.inlined()
        self.last: dict[Axis, int] = {}  # the largest value of every loop variable
        self.placed: dict[Stage, Placed] = {}
        self.root: list[Placed] = []
        self.buffers: dict[Tensor, Buffer] = {}
        for tensor in arguments.values():
            held = tensor.into or tensor
            self.buffers[tensor] = Buffer(tensor.name, held.kept or held.shape, tensor.dtype, "dram", tensor.element_rank,
                                          strides=held.strides, low=held.low)

    # Bound inference

    def place(self, stage: Stage):
        around, inside = [], self.root
        if stage.attach is not None:
            target, axis = stage.attach
            if target not in self.placed:
                raise stage.refuse("a stage is computed within one that comes after it and reads it",
                                   f"'{target.tensor.name}'", "compute_at a reader")
            if axis not in target.leaves:
                raise stage.refuse("compute_at takes a loop of the other stage",
                                   f"'{axis.name}', which was split or fused since",
                                   "compute_at after the other stage's loops are final")
            outer = self.placed[target]
            reached = target.leaves[:target.leaves.index(axis) + 1]
            around = outer.around + [loop for loop in outer.loops if loop.axis in reached]
            inside = outer.inside.setdefault(axis, [])
        low, extents = self.region(stage, around)
        shape = tuple(maximum(e, self.last) for e in extents)
        buffer = self.buffers.get(stage.tensor)
        if buffer is None:
            buffer = Buffer(stage.tensor.name, shape, stage.tensor.dtype, stage.scope, stage.tensor.element_rank,
                            strides=_pitched(stage, shape))
        placed = self.placed[stage] = Placed(stage, around, low, buffer)
        self.loops(placed, dict(zip(stage.data_axes, extents)))
        inside.append(placed)

    def region(self, stage: Stage, around: list[Loop]) -> tuple[list[Linear], list[Extent]]:
        """What the readers touch of the stage's tensor: the begin and the extent along each axis."""
        full = [Linear()] * len(stage.data_axes), [constant(axis.extent) for axis in stage.data_axes]
        if stage.is_output or stage.tensor in self.buffers:
            return full
        low: list[Linear | None] = [None] * len(stage.data_axes)
        high: list[Extent] = [()] * len(stage.data_axes)
        for reader in self.stages:
            for load in te.loads(reader.body):
                if load.buffer is not stage.tensor:
                    continue
                for d, (begin, end) in enumerate(self._touched(stage, around, self.placed[reader], load)):
                    if low[d] is None:
                        low[d], high[d] = begin, end
                    else:
                        low[d], high[d] = _hull(stage, low[d], high[d], begin, end, self.last)
        if low and low[0] is None:
            raise stage.refuse("a tensor in the schedule is read", "no reader",
                               "cache_read and cache_write in another order")
        return low, [prune([end - begin + 1 for end in ends], self.last) for begin, ends in zip(low, high)]

    def _touched(self, stage: Stage, around: list[Loop], reader: Placed, load: Load):
        """(begin, ends) of one access along each axis, while the loops around stand still."""
        loops = reader.around + reader.loops
        if loops[:len(around)] != around:
            raise stage.refuse("all readers of a stage are within the loop that it is computed at",
                               f"'{reader.stage.tensor.name}' is not", "compute_at an outer loop, or at the root")
        inside = loops[len(around):]
        if stage.scope == "shared":  # what the threads of a block need together
            inside = [loop for loop in around if loop.thread] + inside
        relaxed = [(loop.axis, loop.extent) for loop in inside]
        element = len(stage.tensor.shape) - (stage.tensor.element_rank if stage.scope == "wgt" else 0)
        for d, (index, size) in enumerate(zip(load.indices, stage.tensor.shape)):
            linear = Linear.of(self._undivided(substitute(index, reader.values)))
            bounds = interval(linear, relaxed) if linear is not None else None
            # no sum of loops, or one that falls; a weight is there as a whole, however few taps
            if bounds is None or d >= element:
                yield Linear(), (Linear((), size - 1),)
            else:
                begin, ends = bounds
                yield begin, prune([*ends, Linear((), size - 1)], self.last)

    def _undivided(self, index: Expr) -> Expr:
        """Without the divisions that the loops' splits make idle."""
        is_division = lambda e: isinstance(e, Binary) and e.op in ("floordiv", "mod")  # noqa: E731
        return te.map_expr(index, lambda e: divided(e, self.last) if is_division(e) else e)

    # Loops

    def loops(self, placed: Placed, extents: dict[Axis, Extent]):
        """Extents of the leaves from those of the stage's own axes, and the axes' values from the leaves."""
        stage = placed.stage
        extents.update({axis: constant(axis.extent) for axis in stage.reduce_axes})
        for relation in stage.relations:
            if isinstance(relation, Split):
                self._split(extents, relation)
            else:
                sizes = [extents[a] for a in (relation.outer, relation.inner)]
                if any(len(e) > 1 or e[0].terms for e in sizes):
                    raise stage.refuse("fused loops have constant extents", f"a tail in {relation.fused.name}",
                                       "fuse before split")
                extents[relation.fused] = constant(sizes[0][0].constant * sizes[1][0].constant)
        keep = _element_leaves(stage)
        for leaf in stage.leaves:
            largest = maximum(extents[leaf], self.last)
            self.last[leaf] = max(largest - 1, 0)
            gone = largest <= 1 and leaf not in keep and all(not e.terms for e in prune(extents[leaf], self.last))
            placed.values[leaf] = Const(0) if gone else leaf
        self._values(placed, extents)
        for leaf in stage.leaves:
            if placed.values[leaf] is leaf:
                thread = stage.kinds.get(leaf, "").startswith("threadIdx")
                placed.loops.append(Loop(leaf, self._over_leaves(placed, leaf, extents[leaf]), thread))
        for axis, low in zip(stage.data_axes, placed.low):
            placed.values[axis] = _sum(low.expr(), placed.values[axis])

    def _values(self, placed: Placed, extents: dict[Axis, Extent]):
        """Every axis that was split or fused, from the leaves."""
        for relation in reversed(placed.stage.relations):
            if isinstance(relation, Split):
                outer, inner = placed.values[relation.outer], placed.values[relation.inner]
                placed.values[relation.parent] = _sum(binary("mul", outer, relation.factor), inner)
            else:
                size, fused = extents[relation.inner][0].constant, placed.values[relation.fused]
                placed.values[relation.outer] = binary("floordiv", fused, size)
                placed.values[relation.inner] = binary("mod", fused, size)

    def _split(self, extents: dict[Axis, Extent], relation: Split):
        parent, factor = extents[relation.parent], relation.factor
        turns = -(-maximum(parent, self.last) // factor)
        extents[relation.outer] = constant(turns)
        self.last[relation.outer] = turns - 1
        offset = Linear(((relation.outer, factor),)) if turns > 1 else Linear()
        extents[relation.inner] = prune([Linear((), factor)] + [e - offset for e in parent], self.last)

    def _over_leaves(self, placed: Placed, leaf: Axis, extent: Extent) -> Extent:
        """A loop's extent from the loops outside of it."""
        stage, outside = placed.stage, {loop.axis for loop in placed.around + placed.loops}
        sums = []
        for e in extent:
            linear = Linear.of(substitute(e.expr(), placed.values))
            unknown = [v.name for v, _ in (e if linear is None else linear).terms if linear is None or v not in outside]
            if unknown:
                raise stage.refuse("the extent of a loop is known outside of it",
                                   f"{leaf.name} depends on {', '.join(unknown)}",
                                   "the inner loop of a split with a tail inside its outer one, and neither fused")
            sums.append(linear)
        return prune(sums, self.last)

    # Statements

    def statement(self, placed: Placed) -> Stmt:
        stage = placed.stage
        first_reduce = next((i for i, leaf in enumerate(stage.leaves) if leaf.reduce), None)
        extents = {loop.axis: loop.extent for loop in placed.loops}

        def nest(at: int) -> Stmt:
            if at == first_reduce:
                return _seq(*self._inits(placed, stage.leaves[at:], extents), loop_from(at))
            return loop_from(at)

        def loop_from(at: int) -> Stmt:
            if at == len(stage.leaves):
                return self._store(placed)
            leaf = stage.leaves[at]
            body = nest(at + 1)
            for inner in placed.inside.get(leaf, []):
                body = Alloc(inner.buffer, _seq(self.statement(inner), body))
            if leaf not in extents:
                return body
            return For(leaf, extent_expr(extents[leaf]), body, stage.kinds.get(leaf, "serial"), stage.tensorized.get(leaf))

        return nest(0)

    def _store(self, placed: Placed) -> Stmt:
        value = te.value_of(placed.stage.body)
        target, indices = placed.buffer, self._own_indices(placed)
        value = self._lower_expr(value, placed)
        if isinstance(placed.stage.body, Reduce):
            value = binary(placed.stage.body.op, Load(target, indices), value)
        tensor = placed.stage.tensor
        conditions = [index.lt(kept) for index, axis, kept in zip(indices, placed.stage.data_axes, tensor.kept) if kept < axis.extent]
        if tensor.into is not None:
            indices = tuple(_affine_or_same(substitute(e, placed.values)) for e in tensor.at)
        return _guarded(conditions, Store(target, indices, value))

    def _own_indices(self, placed: Placed) -> tuple[Expr, ...]:
        return tuple(_affine_or_same(_minus(placed.values[axis], low))
                     for axis, low in zip(placed.stage.data_axes, placed.low))

    def _lower_expr(self, value: Expr, placed: Placed) -> Expr:
        """The value over loops and buffers in place of axes and tensors."""
        value = substitute(value, placed.values)

        def change(e: Expr) -> Expr:
            if isinstance(e, Binary) and e.op in ("floordiv", "mod"):
                return divided(e, self.last)
            if not isinstance(e, Load):
                return e
            source = next((p for s, p in self.placed.items() if s.tensor is e.buffer), None)
            low = source.low if source else [Linear()] * len(e.indices)
            buffer = source.buffer if source else self.buffers.get(e.buffer)
            if buffer is None:
                raise WeftError(f"tensor '{e.buffer.name}'", "a placeholder is an argument of the program", "it is none",
                                "arguments")
            return Load(buffer, tuple(_affine_or_same(_minus(i, begin)) for i, begin in zip(e.indices, low)))

        return te.map_expr(value, change)

    def _inits(self, placed: Placed, leaves: list[Axis], extents: dict[Axis, Extent]) -> list[Stmt]:
        """acc = 0, and acc = acc + init where a reduction begins elsewhere: what the machine has instructions for. On the
        CPU, acc = init."""
        target, indices, init = placed.buffer, self._own_indices(placed), placed.stage.body.init
        if isinstance(init, Expr):
            return [self._init_nest(placed, leaves, extents, target, indices, self._lower_expr(init, placed), None)]
        if target.scope in (*CPU_SCOPES, "shared") or target.dtype != "int32":
            return [self._init_nest(placed, leaves, extents, target, indices, as_expr(init, target.dtype), None)]
        values = [(Const(0, "int32"), "reset")]
        if init:
            values.append((binary("add", Load(target, indices), init), "alu"))
        return [self._init_nest(placed, leaves, extents, target, indices, *v) for v in values]

    def _init_nest(self, placed, leaves, extents, target, indices, value, instruction) -> Stmt:
        fresh = {leaf: Axis(leaf.name, leaf.extent) for leaf in leaves if leaf in extents and not leaf.reduce}
        self.last.update({new: self.last[leaf] for leaf, new in fresh.items()})
        body: Stmt = Store(target, tuple(substitute(i, fresh) for i in indices), substitute(value, fresh))
        for leaf, new in reversed(fresh.items()):
            mark = instruction if leaf in placed.stage.tensorized else None
            kind = "vectorise" if placed.stage.tensorized.get(leaf) == "dot4" else placed.stage.kinds.get(leaf, "serial")
            body = For(new, substitute(extent_expr(extents[leaf]), fresh), body, kind, mark)
        return body


def lower(schedule: Schedule, name: str, arguments: dict[str, Tensor]) -> LoopProgram:
    """The loop program of a schedule. `arguments`: tensors in DRAM by name, inputs before outputs; a name may be any text.

    Raises
    ------
    WeftError: where a stage is not within reach of its readers, or a loop's extent depends on loops inside it.
    """
    lowering = _Lowering(schedule, arguments)
    for stage in reversed(lowering.stages):
        lowering.place(stage)
    body: Stmt = Seq([])
    for placed in lowering.root:  # the last stage first
        body = _seq(lowering.statement(placed), body)
        if placed.stage.tensor not in lowering.buffers:
            body = Alloc(placed.buffer, body)
    return LoopProgram(name, {key: lowering.buffers[tensor] for key, tensor in arguments.items()}, body)


def _element_leaves(stage: Stage) -> set[Axis]:
    """Leaves of the element: a tensorized loop and all within, and the element's own axes."""
    tensorized = [stage.leaves.index(axis) for axis in stage.tensorized]
    inner = stage.leaves[min(tensorized):] if tensorized else []
    return {*inner, *stage.data_axes[len(stage.data_axes) - stage.tensor.element_rank:]}


def _hull(stage, low, high, begin, ends, last) -> tuple[Linear, Extent]:
    """The region that covers two whose begins differ by a constant."""
    apart = begin - low
    if apart.terms:
        raise stage.refuse("two accesses of one tile are a constant apart", f"{begin.expr()} and {low.expr()}",
                           "a copy for each by cache_read")
    joined = [a if (a - b).smallest(last) >= 0 else b for a in high for b in ends
              if (a - b).smallest(last) >= 0 or (b - a).smallest(last) >= 0]
    if not joined:
        raise stage.refuse("one of two accesses of a tile ends after the other", "neither is provable", "a copy for each")
    return (begin if apart.constant < 0 else low), prune(joined, last)


def _seq(*statements: Stmt) -> Stmt:
    flat = [s for one in statements for s in (one.body if isinstance(one, Seq) else [one])]
    return flat[0] if len(flat) == 1 else Seq(flat)


def _guarded(conditions: list[Expr], stmt: Stmt) -> Stmt:
    for condition in reversed(conditions):
        stmt = If(condition, stmt)
    return stmt


def _pitched(stage: Stage, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of the stage's buffer; () where none was asked for."""
    strides, values = [], 1
    for axis, extent in zip(reversed(stage.data_axes), reversed(shape)):
        strides.insert(0, max(values, stage.pitch.get(axis, 1)))
        values = strides[0] * extent
    return tuple(strides) if stage.pitch else ()


def _sum(a: Expr, b: Expr) -> Expr:
    return _affine_or_same(binary("add", a, b))


def _minus(a: Expr, low: Linear) -> Expr:
    return a if low == Linear() else binary("sub", a, low.expr())


def _affine_or_same(e: Expr) -> Expr:
    linear = Linear.of(e)
    return e if linear is None else linear.expr()
