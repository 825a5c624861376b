"""Where buffers lie: elementwise stages work in place, and every scratchpad buffer gets a fixed base."""

from dataclasses import replace

from weft.compiler.expr import Load
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Stmt, Store
from weft.isa import Config, WeftError

from .leaf import PlacedAlloc
from .rewrite import Access, accesses, allocations, map_accesses, map_statements, variables
from .unify import same_index


def in_place(program: LoopProgram, config: Config) -> LoopProgram:
    """Gives `b[i] = f(a[i], ..)` the memory of a, where b is written there first and a is not used afterwards.

        alloc a, b                   alloc a
        b[i] = max(a[i], 0)    ->    a[i] = max(a[i], 0)

    What then only copies an element to itself is dropped.
    """
    while (pair := _find_alias(program.body)) is not None:
        old, new = pair
        body = map_accesses(program.body, lambda b, i: (new, i) if b is old else (b, i))  # noqa: B023
        program = replace(program, body=map_statements(body, lambda s: _without(s, old)))  # noqa: B023
    return replace(program, body=map_statements(program.body, _without_idle))


def _without_idle(stmt: Stmt) -> Stmt:
    match stmt:
        case Store(buffer, indices, Load(source, places)) if source is buffer and all(map(same_index, places, indices)):
            return Seq([])
        case For(body=Seq([])):
            return Seq([])
        case Seq(body):
            return Seq([s for s in body if not (isinstance(s, Seq) and not s.body)])
    return stmt


def _without(stmt: Stmt, buffer: Buffer) -> Stmt:
    return stmt.body if isinstance(stmt, Alloc) and stmt.buffer is buffer else stmt


def _find_alias(body: Stmt) -> tuple[Buffer, Buffer] | None:
    """(buffer to give up, buffer to use instead)."""
    home = {a.buffer: a for a in allocations(body) if a.buffer.scope == "acc"}
    every = list(accesses(body))
    for k, access in enumerate(every):
        target = access.store.buffer
        if target not in home:
            continue
        for load in access.reads():
            if load.buffer in home and load.buffer is not target and _may_alias(access, load, every, k, home):
                outer = home[load.buffer] in access.path[:access.path.index(home[target])]
                return (target, load.buffer) if outer else (load.buffer, target)
    return None


def _may_alias(access: Access, load: Load, every: list[Access], k: int, home: dict[Buffer, Alloc]) -> bool:
    source, store = load.buffer, access.store
    if source.shape != store.buffer.shape or not all(map(same_index, load.indices, store.indices)):
        return False
    others = [e for e in access.reads() if e.buffer in (source, store.buffer) and e != load]
    if others or any(store.buffer in a.buffers for a in every[:k]) or any(source in a.buffers for a in every[k + 1:]):
        return False
    places = sorted(access.path.index(home[b]) for b in (source, store.buffer))
    if any(isinstance(s, For) for s in access.path[places[0]:places[1]]):
        return False
    loops = access.loops_within(access.path[places[1]])
    shared = [loop for loop in loops if any(loop in a.path for a in every if a is not access and
                                            a.buffers & {source, store.buffer})]
    return not shared and {loop.var for loop in loops} <= variables(*store.indices)


def place(program: LoopProgram, config: Config) -> LoopProgram:
    """Gives every Alloc its first element. Buffers that do not live together share memory.

    ACC is divided among virtual threads: what belongs to one of two lies in a half of its own, and one thread's ALU
    operations can run beside the other's products. Of four each has a quarter.

    WeftError where a scratchpad does not hold what lives together; it says which buffer, what it needs and what is there.
    """
    return replace(program, body=_place(program.body, {}, program, config))


Placed = tuple[Buffer, int, int]  # base and spacing, as of PlacedAlloc


def _place(stmt: Stmt, live: dict[str, tuple[Placed, ...]], program: LoopProgram, config: Config) -> Stmt:
    match stmt:
        case Alloc(buffer, body):
            before = live.get(buffer.scope, ())
            depth = getattr(config, f"{buffer.scope}_depth")
            ways = [(1, depth)]
            if buffer.scope == "acc" and buffer.threads > 1:
                rooms = 1 << (buffer.threads - 1).bit_length()
                ways.insert(0, (buffer.threads, depth // rooms))
            found = next(((base, room if parts > 1 else 0) for parts, room in ways
                          if (base := _free(buffer.elements // parts, parts, room, before)) is not None), None)
            if found is None:
                raise _does_not_fit(buffer, depth, [b for b, _, _ in before], program, config)
            live = {**live, buffer.scope: (*before, (buffer, *found))}
            return PlacedAlloc(buffer, _place(body, live, program, config), *found)
        case For(body=body):
            return replace(stmt, body=_place(body, live, program, config))
        case Seq(body):
            return Seq([_place(s, live, program, config) for s in body])
    return stmt


def _free(size: int, parts: int, room: int, live: tuple[Placed, ...]) -> int | None:
    """The lowest base at which `parts` blocks of `size`, `room` apart, lie within their rooms and beside what is there."""
    taken = [block for placed in live for block in _blocks(*placed)]
    for base in sorted({0, *(end % room for _, end in taken)}):
        mine = [(base + part * room, base + part * room + size) for part in range(parts)]
        if base + size <= room and all(end <= low or high <= begin for begin, end in mine for low, high in taken):
            return base
    return None


def _blocks(buffer: Buffer, base: int, spacing: int) -> list[tuple[int, int]]:
    """(first element, the one after the last) of each block that a buffer has."""
    parts = buffer.threads if spacing else 1
    return [(base + part * spacing, base + part * spacing + buffer.elements // parts) for part in range(parts)]


def _does_not_fit(buffer: Buffer, depth: int, before: list[Buffer], program: LoopProgram, config: Config) -> WeftError:
    taken = sum(b.elements for b in before)
    rest = f", with {taken} taken by {', '.join(b.name for b in before)}" if before else ""
    return WeftError(
        f"program '{program.name}', buffer '{buffer.name}'",
        f"what lives together in {buffer.scope} must fit its {depth} elements on config '{config.name}'",
        f"{buffer.elements} elements (shape {list(buffer.shape)}){rest}",
        f"smaller tiles, fewer virtual threads, or a larger {buffer.scope}_buffer")
