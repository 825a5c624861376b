"""Unification: is this statement, under these loops, what a tensor instruction means?"""

from dataclasses import dataclass, field

from weft.compiler.expr import Binary, Cast, Const, Expr, Load, Select, Var, affine, substitute, walk
from weft.compiler.stmt import Buffer, For, Store

from .intrinsics import Inside, Intrinsic, Parameter

COMMUTATIVE = ("add", "mul", "min", "max")


ALL = 1 << 10  # agreed: more than any expression has parts


class Mismatch(Exception):
    """The statement is not that instruction; the text says what differs. `agreed`: how many parts of it did not."""

    def __init__(self, text: str, agreed: int):
        super().__init__(text)
        self.agreed = agreed


@dataclass
class Match:
    """How formal things of an intrinsic stand for things of the program.

    lanes: formal loop variable -> the program's, or None where an axis of extent 1 is written as 0.
    operands: formal buffer's name -> (buffer, the indices before the element's own axes).
    """

    lanes: dict[Var, Var | None] = field(default_factory=dict)
    operands: dict[str, tuple[Buffer, tuple[Expr, ...]]] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    conditions: list[Expr] = field(default_factory=list)
    agreed: int = 0

    def further(self) -> "Match":
        """A copy with one part more that agrees."""
        return Match(dict(self.lanes), dict(self.operands), dict(self.constants), list(self.conditions), self.agreed + 1)

    def differ(self, rule: str, found: object) -> Mismatch:
        return Mismatch(f"{rule}, not {found}", self.agreed)


def same_index(a: Expr, b: Expr) -> bool:
    """Whether two index expressions are equal as sums; structurally where they are none."""
    left, right = affine(a), affine(b)
    return left == right if left is not None and right is not None else a == b


def match_store(intrinsic: Intrinsic, store: Store, loops: list[For]) -> Match:
    """The match of a Store inside `loops` (outermost first) with an intrinsic. Mismatch where there is none."""
    unifier = _Unifier(intrinsic)
    meaning = intrinsic.meaning
    match = unifier.access(Load(meaning.buffer, meaning.indices), Load(store.buffer, store.indices), Match())
    match = unifier.value(meaning.value, store.value, match)
    _check_lanes(intrinsic, match, loops)
    return match


class _Unifier:
    def __init__(self, intrinsic: Intrinsic):
        self.extents = dict(intrinsic.loops)

    def value(self, formal: Expr, actual: Expr, match: Match) -> Match:
        """The match extended so that `formal` stands for `actual`; `match` itself stays."""
        match formal:
            case Parameter():
                return self._parameter(formal, actual, match)
            case Inside():
                match = match.further()
                match.conditions.append(actual)
                return match
            case Load():
                if not isinstance(actual, Load):
                    raise match.differ(f"it reads an element of {formal.buffer.scope}", actual)
                return self.access(formal, actual, match)
            case Binary(op):
                if not isinstance(actual, Binary) or actual.op != op:
                    raise match.differ(f"it does '{op}'", actual)
                return self._either_way(formal, actual, match.further())
            case Cast(to):
                if not isinstance(actual, Cast) or actual.to != to:
                    raise match.differ(f"it converts to {to}", actual)
                return self.value(formal.a, actual.a, match.further())
            case Select():
                if not isinstance(actual, Select):
                    raise match.differ("it selects", actual)
                match = self.value(formal.condition, actual.condition, match.further())
                return self.value(formal.otherwise, actual.otherwise, self.value(formal.then, actual.then, match))
        if formal != actual:
            raise match.differ(f"it has {formal}", actual)
        return match.further()

    def _parameter(self, formal: Parameter, actual: Expr, match: Match) -> Match:
        if not isinstance(actual, Const) or actual.dtype != formal.dtype:
            raise match.differ(f"it has a constant {formal.dtype}", actual)
        match = match.further()
        if not formal.low <= actual.value <= formal.high:
            raise match.differ(f"a constant must be from {formal.low} to {formal.high}", actual.value)
        match.constants[formal.name] = actual.value
        return match

    def _either_way(self, formal: Binary, actual: Binary, match: Match) -> Match:
        try:
            return self.value(formal.b, actual.b, self.value(formal.a, actual.a, match))
        except Mismatch as miss:
            if formal.op not in COMMUTATIVE:
                raise
            try:
                return self.value(formal.b, actual.a, self.value(formal.a, actual.b, match))
            except Mismatch as other:
                raise max(miss, other, key=lambda m: m.agreed) from None

    def access(self, formal: Load, actual: Load, match: Match) -> Match:
        """As `value`, for an element: the same memory, and the formal variables in the element's axes."""
        want, have = formal.buffer, actual.buffer
        if (have.scope, have.dtype) != (want.scope, want.dtype):
            found = f"{have.name} ({have.dtype} in {have.scope})"
            raise match.differ(f"'{want.name}' is {want.dtype} in {want.scope}", found)
        match = match.further()
        outer, window = len(have.shape) - want.element_rank, len(want.shape) - want.element_rank
        element = want.shape[window:]
        if have.element_rank != want.element_rank or have.shape[outer:] != element:
            found = f"{list(have.shape[outer:])} of {have.name}"
            raise match.differ(f"an element of '{want.name}' has shape {list(element)}", found)
        for variable, index in zip(formal.indices[window:], actual.indices[outer:]):
            self._lane(variable, index, match)
        place = actual.indices[:outer]
        for variable in formal.indices[:window]:
            place = self._window(variable, have, place, match)
        buffer, indices = match.operands.setdefault(want.name, (have, place))
        if buffer is not have or not all(map(same_index, indices, place)):
            raise match.differ(f"'{want.name}' is one element, {buffer.name}[{', '.join(map(str, indices))}]", actual)
        for index in place:
            if affine(index) is None:
                raise match.differ("indices are sums of variables times constants", index)
        return match.further()

    def _window(self, formal: Var, buffer: Buffer, place: tuple[Expr, ...], match: Match) -> tuple[Expr, ...]:
        """The first element of a window: those that follow as the loop of `formal` runs must be the next in memory.

        The loop is known already, for a meaning names the window after an element in whose axes the loop stands.
        """
        variable, step, stride = match.lanes[formal], 0, 1
        for index, extent in reversed(list(zip(place, buffer.shape))):
            sums = affine(index)
            if sums is None:
                raise match.differ("indices are sums of variables times constants", index)
            step += sums[0].get(variable, 0) * stride
            stride *= extent
        if step != 1:
            raise match.differ(f"its window is of neighbouring elements of {buffer.name}", f"of elements {step} apart")
        return tuple(substitute(index, {variable: Const(0)}) for index in place)

    def _lane(self, formal: Var, index: Expr, match: Match):
        if isinstance(index, Var):
            actual = index
        elif isinstance(index, Const) and index.value == 0 and self.extents[formal] == 1:
            actual = None
        else:
            raise match.differ("an axis of an element is indexed by a loop variable alone", index)
        if match.lanes.setdefault(formal, actual) is not actual:
            raise match.differ(f"the index '{formal}' is one variable, {match.lanes[formal]}", index)


def _check_lanes(intrinsic: Intrinsic, match: Match, loops: list[For]):
    """The lanes must be exactly the innermost loops, with the element's extents, and occur nowhere else."""
    extents = {loop.var: loop.extent for loop in loops}
    used = [v for v in match.lanes.values() if v is not None]
    for formal, extent in intrinsic.loops:
        actual = match.lanes[formal]
        if isinstance(extent, Parameter):
            _take_extent(extent, extents.get(actual), match)
        elif actual is not None and extents.get(actual) != Const(extent):
            raise Mismatch(f"the loop over '{formal}' has {extent} turns, not {extents.get(actual, 'a loop outside')}", ALL)
    inner = [loop.var for loop in loops[len(loops) - len(used):]]
    if len(set(used)) < len(used) or set(inner) != set(used):
        raise Mismatch(f"the innermost loops are those over an element ({', '.join(map(str, used))}), "
                       f"not {', '.join(map(str, inner))}", ALL)
    outside = [i for _, indices in match.operands.values() for i in indices] + match.conditions
    for e in outside:
        if any(v in used for v in walk(e)):
            raise Mismatch(f"'{e}' must be the same for all lanes of an element", ALL)


def _take_extent(formal: Parameter, actual: Expr | None, match: Match):
    """A loop whose number of turns is the instruction's to say."""
    if not isinstance(actual, Const) or not formal.low <= actual.value <= formal.high:
        raise Mismatch(f"the turns of '{formal}' are a constant from {formal.low} to {formal.high}, not {actual}", ALL)
    match.constants[formal.name] = actual.value
