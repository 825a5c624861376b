"""The tensor instructions, declared as small programs: an instruction is what its meaning says.

Each `Intrinsic` is a loop nest over the axes of one element, ending in one Store over formal buffers, with the instruction
that does the same. `tensorize` finds nests that unify with it. The meanings of ALU operations are not written here: those of
the instruction table are traced with symbolic arguments. To add a tensor instruction, write a function of a Config
that returns Intrinsics, and hand it to `declare`; no pass has to know.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from weft.compiler.expr import INDEX, Cast, Const, Expr, Load, Select, Var
from weft.compiler.stmt import Buffer, Store
from weft.isa import ALU_OPS, AluOp, Config, Memory, Opcode
from weft.isa.table import MAX_TAPS, PADDABLE, layouts


@dataclass(frozen=True)
class Parameter(Expr):
    """In a meaning: stands for any constant of `dtype` from `low` to `high`."""

    name: str
    dtype: str = "int32"
    low: int = 0
    high: int = 0

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class Inside(Expr):
    """In a meaning: stands for any condition on indices that is the same for all lanes of an element."""

    dtype = "bool"

    def __str__(self):
        return "inside"


@dataclass(frozen=True, eq=False)
class Intrinsic:
    """A tensor instruction.

    name: for people. kind: what a schedule's mark says ('gemm', 'depthwise', 'reset', 'alu', 'load', 'store').
    loops: (variable, extent) over the axes of one element; an extent may be a Parameter. meaning: the Store inside of them.
        A formal buffer with axes before those of its element is a window: along them it means neighbouring elements.
    opcode, fields: the instruction, with those of its fields that are always the same.
    steps: for GEMM and ALU, which formal buffer each part of a micro-op addresses: {'dst': .., 'src': .., 'wgt': ..}.
    immediates: field of the instruction by name of the Parameter that gives it.
    commutes: steps that update one element may run in any order.
    windows: of a formal buffer with a window, the Parameter that is its length.
    A copy has the formal buffers 'sram' and 'dram' instead of steps.
    """

    name: str
    kind: str
    loops: tuple[tuple[Var, int | Parameter], ...]
    meaning: Store
    opcode: Opcode
    fields: dict[str, int] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    immediates: dict[str, str] = field(default_factory=dict)
    commutes: bool = False
    windows: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        loops = "".join(f"for {v} in {extent}: " for v, extent in self.loops)
        indices = ", ".join(map(str, self.meaning.indices))
        return f"{self.name}: {loops}{self.meaning.buffer.name}[{indices}] = {self.meaning.value}"


_DECLARED: list[Callable[[Config], list[Intrinsic]]] = []


def declare(intrinsics_of: Callable[[Config], list[Intrinsic]]) -> Callable[[Config], list[Intrinsic]]:
    """Adds tensor instructions; may be used as a decorator. What was declared first is tried first."""
    _DECLARED.append(intrinsics_of)
    intrinsics.cache_clear()
    return intrinsics_of


@lru_cache
def intrinsics(config: Config) -> tuple[Intrinsic, ...]:
    """All tensor instructions of this machine, in the order in which they are tried."""
    return tuple(i for declared in _DECLARED for i in declared(config))


def _tile(name: str, scope: str, rows: int, columns: int, dtype: str) -> Buffer:
    return Buffer(name, (rows, columns), dtype, scope)


def _lanes(config: Config) -> tuple[tuple[Var, int], ...]:
    return (Var("n"), config.batch), (Var("c"), config.block_out)


def _accumulators(config: Config, name: str = "acc") -> Buffer:
    return _tile(name, "acc", config.batch, config.block_out, "int32")


@declare
def gemm(config: Config) -> list[Intrinsic]:
    """acc[n, co] += inp[n, ci] * wgt[co, ci], and its reset."""
    (n, _), (co, _) = lanes = _lanes(config)
    ci = Var("ci")
    acc = _accumulators(config)
    inp = _tile("inp", "inp", config.batch, config.block_in, "int8")
    wgt = _tile("wgt", "wgt", config.block_out, config.block_in, "int8")
    product = Cast("int32", Load(inp, (n, ci))) * Cast("int32", Load(wgt, (co, ci)))
    return [
        Intrinsic("gemm", "gemm", (*lanes, (ci, config.block_in)), Store(acc, (n, co), Load(acc, (n, co)) + product),
                  Opcode.GEMM, steps={"dst": "acc", "src": "inp", "wgt": "wgt"}, commutes=True),
        Intrinsic("reset", "reset", lanes, Store(acc, (n, co), Const(0, "int32")), Opcode.GEMM, {"reset": 1},
                  {"dst": "acc"}, commutes=True)]


@declare
def depthwise(config: Config) -> list[Intrinsic]:
    """acc[n, c] += inp[t, n, c] * wgt[c, t], summed over a window of neighbouring elements t."""
    n, c = (v for v, _ in _lanes(config))
    t, most = Var("t"), min(config.block_in, MAX_TAPS)
    taps = Parameter("taps", INDEX, 1, most)
    acc = _accumulators(config)
    inp = Buffer("inp", (most, config.batch, config.block_in), "int8", "inp")
    wgt = _tile("wgt", "wgt", config.block_out, config.block_in, "int8")
    product = Cast("int32", Load(wgt, (c, t))) * Cast("int32", Load(inp, (t, n, c)))  # wgt says which loop is t
    return [Intrinsic("depthwise", "depthwise", ((n, config.batch), (c, config.block_out), (t, taps)),
                      Store(acc, (n, c), Load(acc, (n, c)) + product), Opcode.DEPTHWISE,
                      steps={"dst": "acc", "src": "inp", "wgt": "wgt"}, immediates={"taps": "taps"}, windows={"inp": "taps"},
                      commutes=True)]


def _commutes(op: AluOp) -> bool:
    """Whether op(op(x, y), z) = op(op(x, z), y): so for sums, products and extremes, not for shifts."""
    traced = op.meaning(Load(_sample, ()), Load(_sample, ()))
    return getattr(traced, "op", None) in ("add", "mul", "min", "max")


_sample = Buffer("sample", (), "int32", "acc", 0)


@declare
def alu(config: Config) -> list[Intrinsic]:
    """Every ALU operation of the instruction table, with an immediate or with a second element."""
    found = []
    for op in ALU_OPS.values():
        lanes = _lanes(config)
        place = tuple(v for v, _ in lanes)
        acc = _accumulators(config)
        x = Load(acc, place)
        fields = {"alu_opcode": op.code}
        second = {"qnt": Buffer("qnt", (config.block_out,), "qnt", "qnt", 1), "lut": Buffer("lut", (), "lut", "lut", 0),
                  "acc": _accumulators(config, "other")}[op.operand]
        if op.operand == "acc":
            low, high = layouts(config)[Opcode.ALU].fields["imm"].bounds
            imm = Parameter("imm", "int32", low, high)
            # src = dst, as machines exist that read acc[src] even where the immediate is used
            found.append(Intrinsic(f"{op.name} imm", "alu", lanes, Store(acc, place, op.meaning(x, imm)), Opcode.ALU,
                                   {**fields, "use_imm": 1}, {"dst": "acc", "src": "acc"}, {"imm": "imm"}, _commutes(op)))
        y = Load(second, place[len(place) - second.element_rank:])
        found.append(Intrinsic(op.name, "alu", lanes, Store(acc, place, op.meaning(x, y)), Opcode.ALU, fields,
                               {"dst": "acc", "src": second.name}, commutes=op.operand == "acc" and _commutes(op)))
    return found


@declare
def copies(config: Config) -> list[Intrinsic]:
    """LOAD of every memory, plain and padded, and STORE."""
    b, bi, bo = config.batch, config.block_in, config.block_out
    forms = [(Memory.INP, "inp", (b, bi), "int8", "int8"), (Memory.WGT, "wgt", (bo, bi), "int8", "int8"),
             (Memory.ACC, "acc", (b, bo), "int32", "int32"), (Memory.ACC_8BIT, "acc", (b, bo), "int32", "int8"),
             (Memory.QNT, "qnt", (bo,), "qnt", "qnt"),
             (Memory.LUT, "lut", (), "lut", "lut")]
    found = []
    for memory, scope, shape, inner, outer in forms:
        loops = tuple((Var(name), extent) for name, extent in zip("nc"[2 - len(shape):], shape))
        place = tuple(v for v, _ in loops)
        sram, dram = Buffer("sram", shape, inner, scope, len(shape)), Buffer("dram", shape, outer, "dram", len(shape))
        element = Load(dram, place)
        values = [element.astype(inner)]
        if memory in PADDABLE:
            low, high = layouts(config)[Opcode.LOAD_PAD].fields["pad_value"].bounds
            values.append(Select(Inside(), element.astype(inner), Parameter("pad", inner, low, high)))
            if inner != outer:
                values.append(Select(Inside(), element, Parameter("pad", outer, low, high)).astype(inner))
        found += [Intrinsic(f"load {memory.name.lower()}", "load", loops, Store(sram, place, value), Opcode.LOAD,
                            {"memory_type": memory}) for value in values]
    lanes = _lanes(config)
    place = tuple(v for v, _ in lanes)
    acc, dram = _accumulators(config, "sram"), _tile("dram", "dram", b, bo, "int8")
    found.append(Intrinsic("store", "store", lanes, Store(dram, place, Load(acc, place).astype("int8")), Opcode.STORE,
                           {"memory_type": Memory.OUT}))
    return found
