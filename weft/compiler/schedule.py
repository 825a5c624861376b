"""Schedules: how a tensor expression is computed. Each primitive turns one loop program into another with equal results.

A `Schedule` has a `Stage` for each tensor that is computed. A stage's `leaves` are its loops from the outside inwards; the
primitives change them, and where and in which memory the stage's tensor lives. `lower` turns the whole into loops.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from weft.isa import WeftError

from . import te
from .expr import Cast, Expr, Load, substitute
from .stmt import SCOPES
from .te import Axis, Reduce, Tensor

TENSORIZE = ("gemm", "depthwise", "alu", "reset", "load", "store", "dot4", "dp4a", "mma")
THREADS = tuple(f"{of}.{along}" for of in ("blockIdx", "threadIdx") for along in "xyz")  # a GPU's blocks, and a block's threads


@dataclass(frozen=True, eq=False)
class Split:
    """parent = outer * factor + inner; inner runs over range(min(factor, extent of parent - outer * factor))."""

    parent: Axis
    outer: Axis
    inner: Axis
    factor: int


@dataclass(frozen=True, eq=False)
class Fuse:
    """fused = outer * (extent of inner) + inner."""

    outer: Axis
    inner: Axis
    fused: Axis


class Stage:
    """The computation of one tensor: its definition, its loops, its memory and its place.

    axes: the definition's own axes, of data and of reduction. leaves: the loops, outermost first. relations: the splits and
    fusions that led from one to the other, in order. attach: None (at the root), 'inline', or (stage, axis) of compute_at.
    """

    def __init__(self, tensor: Tensor):
        self.tensor, self.body, self.data_axes = tensor, tensor.body, tensor.axes
        self.leaves: list[Axis] = list(self.axes)
        self.relations: list[Split | Fuse] = []
        self.scope = "dram"
        self.attach: None | str | tuple[Stage, Axis] = None
        self.tensorized: dict[Axis, str] = {}
        self.kinds: dict[Axis, str] = {}
        self.pitch: dict[Axis, int] = {}
        self.is_output = False

    @property
    def reduce_axes(self) -> tuple[Axis, ...]:
        return self.body.axes if isinstance(self.body, Reduce) else ()

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.data_axes + self.reduce_axes

    def refuse(self, rule: str, found: str, hint: str) -> WeftError:
        return WeftError(f"stage '{self.tensor.name}'", rule, found, hint)

    def _leaf(self, axis: Axis, primitive: str) -> int:
        if axis not in self.leaves:
            raise self.refuse(f"{primitive} takes one of the stage's loops ({', '.join(a.name for a in self.leaves)})",
                              f"'{axis.name}'", "an axis that was not split or fused before")
        return self.leaves.index(axis)

    def split(self, axis: Axis, factor: int) -> tuple[Axis, Axis]:
        """Splits a loop in two. The last turn of the outer loop is short where the factor does not divide.

        for i in range(10):        for i_o in range(3):
          S(i)               ->      for i_i in range(min(4, 10 - i_o * 4)):
                                       S(i_o * 4 + i_i)
        """
        at = self._leaf(axis, "split")
        if factor < 1:
            raise self.refuse("split needs a factor of at least 1", f"{factor}", "1 to the loop's extent")
        outer = Axis(axis.name + "_o", -(-axis.extent // factor), axis.reduce)
        inner = Axis(axis.name + "_i", min(factor, axis.extent), axis.reduce)
        self.leaves[at:at + 1] = [outer, inner]
        self.relations.append(Split(axis, outer, inner, factor))
        return outer, inner

    def reorder(self, *axes: Axis):
        """Puts the loops named in this order, in the places that they held; other loops stay.

        for i in range(4):         for j in range(8):
          for j in range(8):   ->    for i in range(4):
            S(i, j)                    S(i, j)
        """
        places = sorted(self._leaf(axis, "reorder") for axis in axes)
        if len(set(places)) < len(axes):
            raise self.refuse("reorder takes a loop once", ", ".join(a.name for a in axes), "no repetitions")
        leaves = list(self.leaves)
        for place, axis in zip(places, axes):
            leaves[place] = axis
        for r in self.relations:
            tail = isinstance(r, Split) and r.parent.extent % r.factor and r.outer in leaves and r.inner in leaves
            if tail and leaves.index(r.inner) < leaves.index(r.outer):
                raise self.refuse("the inner loop of a split with a tail stays inside the outer one",
                                  f"{r.inner.name} outside of {r.outer.name}", f"a factor that divides {r.parent.extent}")
        self.leaves = leaves

    def fuse(self, outer: Axis, inner: Axis) -> Axis:
        """Makes one loop of two neighbours.

        for i in range(4):           for i_j in range(32):
          for j in range(8):   ->      S(i_j // 8, i_j % 8)
            S(i, j)
        """
        at = self._leaf(outer, "fuse")
        if self._leaf(inner, "fuse") != at + 1 or outer.reduce != inner.reduce:
            raise self.refuse("fuse takes two neighbouring loops, both of data or both of reduction, the outer one first",
                              f"{outer.name}, {inner.name}", "reorder first")
        fused = Axis(f"{outer.name}_{inner.name}", outer.extent * inner.extent, outer.reduce)
        self.leaves[at:at + 2] = [fused]
        self.relations.append(Fuse(outer, inner, fused))
        return fused

    def set_scope(self, scope: str):
        """Keeps the stage's tensor in another memory: 'dram', 'inp', 'wgt', 'acc', 'qnt' or 'lut'; 'local' or 'reg' of a
        CPU.

        alloc b in dram         alloc b in acc
        b[i] = S(i)        ->   b[i] = S(i)
        """
        if scope not in SCOPES:
            raise self.refuse(f"a scope is one of {', '.join(SCOPES)}", f"'{scope}'", "one of these")
        if self.is_output and scope != "dram":
            raise self.refuse("an output lives in dram", f"'{scope}'", "cache_write for a copy in a scratchpad")
        self.scope = scope

    def compute_at(self, stage: "Stage", axis: Axis):
        """Computes the stage inside a loop of a stage that reads it, and there only what that turn needs.

        for i in range(8):             for i in range(4):
          b[i] = S(i)                    for j in range(2):
        for i in range(4):         ->      b[j] = S(i * 2 + j)
          for j in range(2):             for j in range(2):
            c[i * 2 + j] = b[i * 2 + j]    c[i * 2 + j] = b[j]
        """
        if self.is_output:
            raise self.refuse("an output is computed at the root", f"compute_at {stage.tensor.name}",
                              "compute_at for what it reads")
        stage._leaf(axis, "compute_at")
        self.attach = (stage, axis)

    def compute_root(self):
        """Computes the whole stage before the stages that read it: compute_at undone."""
        self.attach = None

    def compute_inline(self):
        """Puts the stage's definition in the place of every access.

        b[i] = x[i] + 1     ->   c[i] = (x[i] + 1) * 2
        c[i] = b[i] * 2
        """
        if self.is_output or isinstance(self.body, Reduce):
            raise self.refuse("only a definition without reduction that is no output can be inlined",
                              "an output" if self.is_output else "a reduction", "compute_at")
        self.attach = "inline"

    def tensorize(self, axis: Axis, name: str):
        """Asks for a tensor instruction in place of a loop and all within: one of TENSORIZE.

        for n in range(1):            for n in range(1):  # tensorize gemm
          for c in range(16):    ->     for c in range(16):
            ...                           ...
        """
        self._leaf(axis, "tensorize")
        if name not in TENSORIZE:
            raise self.refuse(f"tensorize takes one of {', '.join(TENSORIZE)}", f"'{name}'", "one of these")
        self.tensorized[axis] = name

    def vthread(self, axis: Axis):
        """Makes a loop's turns virtual threads: woven into one stream, each with its own copy of what is allocated inside.

        for i in range(2):          vthread i in range(2):
          alloc b              ->     alloc b
          S(i)                        S(i)
        """
        self._leaf(axis, "vthread")
        if axis.reduce:
            raise self.refuse("a virtual thread is a loop over data", f"reduction axis '{axis.name}'", "a data axis")
        self.kinds[axis] = "vthread"

    def unroll(self, axis: Axis):
        """Writes out a loop's turns one after the other; its extent must be known when code is made.

        for i in range(2):     ->     S(0)
          S(i)                        S(1)
        """
        self._leaf(axis, "unroll")
        self.kinds[axis] = "unroll"

    def vectorise(self, axis: Axis):
        """Makes a loop's turns the lanes of a vector. Nothing but statements of values may be within.

        for i in range(16):     ->     S(0:16)
          S(i)
        """
        self._leaf(axis, "vectorise")
        self.kinds[axis] = "vectorise"

    def parallel(self, axis: Axis):
        """Lets threads share a loop's turns, which must not depend on one another; the outermost loop of a program.

        for i in range(8):      parallel i in range(8):
          S(i)              ->    S(i)
        """
        self._leaf(axis, "parallel")
        if axis.reduce:
            raise self.refuse("a parallel loop is one over data", f"reduction axis '{axis.name}'", "a data axis")
        self.kinds[axis] = "parallel"

    def bind(self, axis: Axis, thread: str):
        """Makes a loop's turns blocks of threads of a GPU, or the threads of a block: one of THREADS.

        Loops of several stages may have one name: each thread does its own turn of each, where the loop has so many turns.

        for i in range(4):          blockIdx.x i in range(4):
          for j in range(8):   ->     threadIdx.x j in range(8):
            S(i, j)                     S(i, j)
        """
        self._leaf(axis, "bind")
        if thread not in THREADS:
            raise self.refuse(f"bind takes one of {', '.join(THREADS)}", f"'{thread}'", "one of these")
        if axis.reduce:
            raise self.refuse("a thread is a turn of a loop over data", f"reduction axis '{axis.name}'", "a data axis")
        if thread in self.kinds.values():
            raise self.refuse("two loops of a stage are two threads", f"{thread} for both", "fuse the loops, or another name")
        self.kinds[axis] = thread

    def set_pitch(self, axis: Axis, values: int):
        """Keeps what is one apart along an axis of the stage's tensor so many values apart in its buffer.

        alloc b: int8[8, 32]     ->  alloc b: int8[8, 32], one of 8 every 36 values
        """
        if axis not in self.data_axes:
            raise self.refuse("set_pitch takes one of the tensor's own axes", f"'{axis.name}'",
                              f"one of {', '.join(a.name for a in self.data_axes)}")
        self.pitch[axis] = values


class Schedule:
    """The stages of everything that the outputs need, a tensor after those that it reads."""

    def __init__(self, *outputs: Tensor):
        self.stages: list[Stage] = []
        self._stage_of: dict[Tensor, Stage] = {}
        for output in outputs:
            self._visit(output)
            self[output].is_output = True

    def _visit(self, tensor: Tensor):
        if tensor.body is None or tensor in self._stage_of:
            return
        for load in te.loads(tensor.body):
            self._visit(load.buffer)
        self._stage_of[tensor] = Stage(tensor)
        self.stages.append(self._stage_of[tensor])

    def __getitem__(self, tensor: Tensor) -> Stage:
        if tensor not in self._stage_of:
            raise WeftError(f"tensor '{tensor.name}'", "a stage belongs to a tensor that the schedule computes",
                            "a placeholder" if tensor.body is None else "a tensor of another schedule",
                            "cache_read for a copy")
        return self._stage_of[tensor]

    def readers(self, tensor: Tensor) -> list[Stage]:
        """Stages whose definition reads the tensor."""
        return [s for s in self.stages if any(load.buffer is tensor for load in te.loads(s.body))]

    def _insert(self, tensor: Tensor, before: Stage, scope: str) -> Tensor:
        stage = self._stage_of[tensor] = Stage(tensor)
        self.stages.insert(self.stages.index(before), stage)
        stage.set_scope(scope)
        return tensor

    def cache_read(self, tensor: Tensor, scope: str, readers: Iterable[Tensor]) -> Tensor:
        """Makes a copy of a tensor in a scratchpad, which the readers read instead; int8 widens in acc.

        c[i] = S(x[i])    ->    x_inp[i] = x[i]
                                c[i] = S(x_inp[i])
        """
        stages = sorted((self[r] for r in readers), key=self.stages.index)
        for stage in stages:
            if stage not in self.readers(tensor):
                raise stage.refuse("cache_read takes stages that read the tensor", f"no access of '{tensor.name}'",
                                   "its readers")
        if not stages:
            raise WeftError(f"tensor '{tensor.name}'", "cache_read needs a reader", "none", "the tensors that read it")
        wide = scope == "acc" and tensor.dtype == "int8"
        copy = te.compute(f"{tensor.name}_{scope}", _named(tensor),
                          lambda *i: tensor[i].astype("int32") if wide else tensor[i], tensor.element_rank)
        self._insert(copy, stages[0], scope)
        for stage in stages:
            stage.body = te.map_body(stage.body, lambda e: Load(copy, e.indices)
                                     if isinstance(e, Load) and e.buffer is tensor else e)
        return copy

    def cache_write(self, tensor: Tensor, scope: str) -> Tensor:
        """Computes a tensor in a scratchpad and copies it out; in acc it is computed as int32 and narrowed by the copy.

        y[i] = int8(S(i))    ->    y_acc[i] = S(i)
                                   y[i] = int8(y_acc[i])
        """
        stage = self[tensor]
        if stage.relations or stage.leaves != list(stage.axes):
            raise stage.refuse("cache_write comes before the loops are changed", "loops that were split or reordered",
                               "cache_write first")
        body, narrow = stage.body, scope == "acc" and stage.body.dtype == "int8"
        if narrow and not isinstance(body, Cast):
            raise stage.refuse("an int8 tensor computed in acc is the int8 cast of an int32 expression",
                               f"{type(body).__name__}", ".astype('int8') outermost")
        inner = body.a if narrow else body
        names = _named(tensor)
        cache = te.compute(f"{tensor.name}_{scope}", names, lambda *new: _with_axes(inner, dict(zip(tensor.axes, new))),
                           tensor.element_rank)
        self._insert(cache, stage, scope)
        stage.body = cache[tensor.axes].astype(tensor.dtype)
        stage.leaves = list(stage.axes)
        return cache

    def inlined(self) -> list[Stage]:
        """The stages that lowering sees: those inlined are gone, their definitions in their readers."""
        kept, definitions = [], {}

        def expand(e: Expr) -> Expr:
            if isinstance(e, Load) and e.buffer in definitions:
                axes, body = definitions[e.buffer]
                return substitute(body, dict(zip(axes, e.indices)))
            return e

        for stage in self.stages:
            body = te.map_body(stage.body, expand)
            if stage.attach == "inline":
                definitions[stage.tensor] = stage.data_axes, body
            else:
                stage.body = body
                kept.append(stage)
        return kept


def _named(tensor: Tensor) -> dict[str, int]:
    return {axis.name: axis.extent for axis in tensor.axes}


def _with_axes(body: Expr | Reduce, axes: dict[Axis, Axis]) -> Expr | Reduce:
    change: Callable[[Expr], Expr] = lambda e: axes.get(e, e) if isinstance(e, Axis) else e  # noqa: E731
    return te.map_body(body, change)
